// What is typed, and what is sent of it.
import { describe, expect, it } from 'vitest';

import { decodeEnvironment } from '../api/environment';
import { base64Of, directoryOf, draftOf, newFile, newVariable, wantedOf } from './draft';

const ENVIRONMENT = {
  version: 7,
  variables: [{ name: 'KEY', bytes: 4 }],
  files: [
    { destination: '.ssh/id', mode: '0600', secret: true, bytes: 3, content: null },
    { destination: 'a', mode: '0644', secret: false, bytes: 2, content: base64Of('ü') },
    { destination: 'b', mode: '0644', secret: false, bytes: 1, content: '/w==' },
  ],
  repository: { url: 'https://git.example/a.git', directory: 'a', branch: null, has_token: true },
  post_start: 'make\n',
  bytes: 100,
  max_bytes: 262_144,
  report: {
    waits_for_secrets: false,
    message: null,
    files: [{ destination: 'a', state: 'kept', message: 'm' }],
    repository: { state: 'running', percent: 42, message: 'Receiving objects' },
    post_start: null,
  },
};

describe('a draft', () => {
  it('keeps every secret that nobody has typed anew', () => {
    expect(wantedOf(draftOf(decodeEnvironment(ENVIRONMENT)))).toEqual({
      version: 7,
      variables: [{ name: 'KEY' }],
      files: [
        { destination: '.ssh/id', mode: '0600', secret: true },
        { destination: 'a', mode: '0644', secret: false, content: base64Of('ü') },
        // Not text: kept as it is.
        { destination: 'b', mode: '0644', secret: false },
      ],
      repository: { url: 'https://git.example/a.git', directory: 'a', branch: null, keep_token: true },
      post_start: 'make\n',
    });
  });

  it('says what was typed, and leaves out rows that nobody has filled in', () => {
    const draft = draftOf(decodeEnvironment({ ...ENVIRONMENT, repository: null, post_start: null }));
    draft.variables = [newVariable(), { ...newVariable(), name: ' A ', value: ' spaces stay ' }];
    draft.files = [newFile(true), { ...newFile(false), destination: ' x ', content: 'y\n' }];
    draft.repository.url = 'git@host:team/app.git';
    draft.repository.token = '';
    draft.script = '  \n';
    expect(wantedOf(draft)).toEqual({
      version: 7,
      variables: [{ name: 'A', value: ' spaces stay ' }],
      files: [{ destination: 'x', mode: '0644', secret: false, content: base64Of('y\n') }],
      repository: { url: 'git@host:team/app.git', directory: 'app', branch: null, keep_token: false },
      post_start: null,
    });
  });

  it('tells rows apart that look the same', () => {
    expect(newVariable().key).not.toBe(newVariable().key);
  });
});

it.each([
  ['https://github.com/a/b.git', 'b'],
  ['https://github.com/a/b/', 'b'],
  ['git@host:b.git', 'b'],
  ['', ''],
])('chooses the directory of %s', (url, directory) => {
  expect(directoryOf(url)).toBe(directory);
});

it('refuses an environment that is none', () => {
  expect(() => decodeEnvironment({ ...ENVIRONMENT, variables: undefined })).toThrow();
  expect(() => decodeEnvironment({ ...ENVIRONMENT, report: { files: [] } })).toThrow();
  expect(decodeEnvironment({ ...ENVIRONMENT, report: undefined }).report).toBeNull();
});
