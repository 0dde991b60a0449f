// A workspace's environment on the wire. Secrets go in and never come back: names and sizes do.

import { count, fields, flag, list, optional, text, textOrNull } from './decode';

export interface Environment {
  version: number;
  variables: { name: string; bytes: number }[];
  files: EnvironmentFile[];
  repository: { url: string; directory: string; branch: string | null; has_token: boolean } | null;
  post_start: string | null;
  bytes: number;
  max_bytes: number;
  report: EnvironmentReport | null;
}

export interface EnvironmentFile {
  destination: string;
  mode: string;
  secret: boolean;
  bytes: number;
  /** Base64; null when it is secret. */
  content: string | null;
}

/** What the box says of it. */
export interface EnvironmentReport {
  waits_for_secrets: boolean;
  message: string | null;
  files: { destination: string; state: string; message: string }[];
  repository: ReportedWork | null;
  post_start: ReportedWork | null;
}

export interface ReportedWork {
  /** `waiting`, `running`, `done` or `failed`. */
  state: string;
  percent: number | null;
  message: string | null;
}

/** An environment to be. What is named without a value keeps the one that it has. */
export interface NewEnvironment {
  version: number;
  variables: { name: string; value?: string }[];
  files: { destination: string; mode?: string; secret: boolean; content?: string }[];
  repository: {
    url: string;
    directory: string;
    branch: string | null;
    token?: string;
    keep_token: boolean;
  } | null;
  post_start: string | null;
}

function work(value: unknown): ReportedWork {
  const from = fields(value, 'work');
  return {
    state: text(from, 'state'),
    percent: optional(from['percent'], () => count(from, 'percent')),
    message: textOrNull(from, 'message'),
  };
}

function report(value: unknown): EnvironmentReport {
  const from = fields(value, 'report');
  return {
    waits_for_secrets: flag(from, 'waits_for_secrets'),
    message: textOrNull(from, 'message'),
    files: list(from, 'files', (entry) => {
      const file = fields(entry, 'reported file');
      return {
        destination: text(file, 'destination'),
        state: text(file, 'state'),
        message: text(file, 'message'),
      };
    }),
    repository: optional(from['repository'], work),
    post_start: optional(from['post_start'], work),
  };
}

export function decodeEnvironment(value: unknown): Environment {
  const from = fields(value, 'environment');
  return {
    version: count(from, 'version'),
    variables: list(from, 'variables', (entry) => {
      const variable = fields(entry, 'variable');
      return { name: text(variable, 'name'), bytes: count(variable, 'bytes') };
    }),
    files: list(from, 'files', (entry) => {
      const file = fields(entry, 'file');
      return {
        destination: text(file, 'destination'),
        mode: text(file, 'mode'),
        secret: flag(file, 'secret'),
        bytes: count(file, 'bytes'),
        content: textOrNull(file, 'content'),
      };
    }),
    repository: optional(from['repository'], (entry) => {
      const repository = fields(entry, 'repository');
      return {
        url: text(repository, 'url'),
        directory: text(repository, 'directory'),
        branch: textOrNull(repository, 'branch'),
        has_token: flag(repository, 'has_token'),
      };
    }),
    post_start: textOrNull(from, 'post_start'),
    bytes: count(from, 'bytes'),
    max_bytes: count(from, 'max_bytes'),
    report: optional(from['report'], report),
  };
}
