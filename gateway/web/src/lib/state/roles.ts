// How much somebody may do in a workspace or an organisation, in words.

export const ROLES = [
  { role: 'viewer', words: 'Viewer: looks on' },
  { role: 'editor', words: 'Editor: works' },
  { role: 'owner', words: 'Owner: administrates' },
];
