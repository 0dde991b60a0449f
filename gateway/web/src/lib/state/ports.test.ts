// The list of ports: what listens and what is published, as one.
import { describe, expect, it } from 'vitest';

import type { Preview } from '../api/types';
import { parsePort, portName, portRows, visibleTo } from './ports';

const preview = (port: number): Preview => ({
  id: `pre-${port}`,
  workspace_id: 'ws-1',
  port,
  link_until_ms: null,
  visibility: 'private',
  mode: 'standard',
  url: `http://pre-${port}.ws-1.localhost/`,
  created_at_ms: 0,
});
const known = {
  workspace_id: 'ws-1',
  previews: [preview(5173), preview(3000)],
  ports: [
    { port: 5173, process: 'node', kind: 'vite' },
    { port: 4000, process: 'python3', kind: null },
  ],
};

describe('portRows', () => {
  it('shows each port once, in order', () => {
    const rows = portRows(known, true);
    expect(rows.map((row) => row.port)).toEqual([3000, 4000, 5173]);
    expect(rows.map((row) => row.listens !== null)).toEqual([false, true, true]);
    expect(rows.map((row) => row.preview !== null)).toEqual([true, false, true]);
  });

  it('forgets what listened once the box is away', () => {
    expect(portRows(known, false).map((row) => row.port)).toEqual([3000, 5173]);
    expect(portRows(known, false).every((row) => row.listens === null)).toBe(true);
    expect(portRows(undefined, true)).toEqual([]);
  });
});

describe('portName', () => {
  it('says what is known', () => {
    expect(portRows(known, true).map(portName)).toEqual(['Port 3000', 'python3', 'vite (node)']);
  });
});

describe('parsePort', () => {
  it('takes ports and nothing else', () => {
    expect(['3000', ' 65535 '].map(parsePort)).toEqual([3000, 65_535]);
    expect(['', '0', '65536', '-1', '3e3', '3.5', 'x', '123456'].map(parsePort)).toEqual(Array(8).fill(null));
  });
});

describe('who can see a preview', () => {
  it('is said in words, and a link only while it lasts', () => {
    const seen = (visibility: string, link_until_ms: number | null, now: number) =>
      visibleTo({ ...preview(3000), visibility, link_until_ms }, now);
    expect(seen('private', null, 5)).toContain('only you');
    expect(seen('public', null, 5)).toContain('everybody');
    expect(seen('link', 10, 5)).toContain('whoever has a link');
    expect(seen('link', 10, 10)).toContain('only you');
  });
});
