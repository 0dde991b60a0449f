// The types of what Vite lets a script import beside scripts: components and style sheets.
/// <reference types="svelte" />
/// <reference types="vite/client" />
