export { serverEnvironment } from './data-directory.js';
export { findFreePort } from './free-port.js';
export { chooseLifeline, spawnWithLifeline } from './lifeline.js';
export { readPostmaster } from './postmaster-file.js';
export { chooseServerAccount } from './server-account.js';
export { startEmbeddedPostgres, type EmbeddedPostgres } from './start-embedded-postgres.js';
