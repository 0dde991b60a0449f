// What is let into the page, and what is not.
import { describe, expect, it } from 'vitest';

import { DecodeError, decodeEvent, decodeSession, decodeWorkspace } from './decode';
import { NO_INBOX } from './inbox';

const SESSION = {
  id: 'ses-1',
  workspace_id: 'ws-1',
  name: 'api',
  template: 'default',
  state: 'running',
  message: null,
  attachments: 2,
  attention: null,
  created_at_ms: 1_700_000_000_000,
  change_seq: 4,
};
const WORKSPACE = {
  id: 'ws-1',
  name: 'alpha',
  role: 'viewer',
  change_seq: 4,
  box: { state: 'online', route: 'dial_back', agent_version: null, telemetry: null },
};

describe('decoding', () => {
  it('accepts states and fields it does not know', () => {
    const session = decodeSession({ ...SESSION, state: 'hibernating', colour: 'blue' });
    expect(session).toEqual({ ...SESSION, state: 'hibernating' });
  });

  it('takes an absent optional field for null', () => {
    expect(decodeWorkspace({ ...WORKSPACE, box: { state: 'offline' } }).box).toEqual({
      state: 'offline',
      route: null,
      agent_version: null,
      telemetry: null,
    });
  });

  it.each(Object.keys(SESSION).filter((key) => !['message', 'attention'].includes(key)))(
    'refuses a session without %s',
    (key) => {
      expect(() => decodeSession({ ...SESSION, [key]: undefined })).toThrow(DecodeError);
    },
  );

  it('decodes each kind of event and ignores others', () => {
    expect(decodeEvent('snapshot', JSON.stringify({ workspaces: [WORKSPACE], sessions: [SESSION] }))).toEqual(
      {
        type: 'snapshot',
        workspaces: [WORKSPACE],
        sessions: [SESSION],
        previews: [],
        inbox: NO_INBOX,
      },
    );
    expect(decodeEvent('session', JSON.stringify(SESSION))).toEqual({ type: 'session', session: SESSION });
    expect(decodeEvent('workspace', JSON.stringify(WORKSPACE))?.type).toBe('workspace');
    expect(decodeEvent('session_deleted', '{"id":"ses-1","workspace_id":"ws-1"}')).toEqual({
      type: 'session_deleted',
      id: 'ses-1',
    });
    const previews = {
      workspace_id: 'ws-1',
      previews: [
        {
          id: 'pre-1',
          workspace_id: 'ws-1',
          port: 3000,
          visibility: 'link',
          link_until_ms: 2,
          mode: 'standard',
          url: null,
          created_at_ms: 1,
        },
      ],
      ports: [{ port: 3000, process: 'node', kind: null }],
    };
    expect(decodeEvent('previews', JSON.stringify(previews))).toEqual({ type: 'previews', previews });
    expect(decodeEvent('weather', 'not even JSON')).toBeNull();
  });
});
