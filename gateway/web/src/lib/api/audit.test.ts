import { expect, it } from 'vitest';

import { auditQuery, decodeAuditPage } from './audit';

it('asks for what is chosen and nothing else', () => {
  expect(auditQuery({ action: '', outcome: '' }, 50, null)).toBe('/api/v1/audit?limit=50');
  expect(auditQuery({ action: ' a&b ', outcome: 'refused' }, 5, 7)).toBe(
    '/api/v1/audit?limit=5&action=a%26b&outcome=refused&before=7',
  );
});

it('shows what somebody ran as what it is', () => {
  const entry = {
    seq: 3,
    at_ms: 1,
    user_name: null,
    source: '203.0.113.7',
    action: 'exec_started',
    outcome: 'done',
    detail: { argv: ['\u202e\u001b[2J'] },
  };
  const page = decodeAuditPage({ entries: [entry], next: 2 });
  expect(page.entries[0]?.detail).toBe('{"argv":["\\u202e\\u001b[2J"]}');
  expect(page.next).toBe(2);
});
