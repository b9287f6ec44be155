import type { StreamInfo } from '@nats-io/jetstream';
import type { StreamSafety } from '../ports/ledger-stream.interface.js';
import { compareVersions, isReliable } from './server-version.js';

/** The setting with which a person makes servers sync messages first. */
const SYNC_SETTING = "`sync_interval: always` in the servers' configuration";

/** The safety of a stream's messages. @param version of the server, as it reports it @internal */
export function safetyOf(
  { config, cluster }: StreamInfo,
  version: string | undefined,
): StreamSafety {
  const { num_replicas: copies, retention, discard, storage, max_bytes: maxBytes } = config;
  const others = cluster?.replicas ?? [];
  // The answering leader is one of them.
  const inSync = 1 + others.filter(({ current, offline }) => current && offline !== true).length;
  const syncs = maySync(version) ? undefined : false;
  const settings = {
    num_replicas: `${copies}`,
    retention,
    discard,
    storage,
    max_bytes: `${maxBytes}`,
  };
  const defect = defectOf(copies, version);
  const more = defect === undefined ? {} : { defect };
  return { copies, inSync, syncs, syncSetting: SYNC_SETTING, settings, ...more };
}

/** Whether servers of that version support `sync_interval`. */
function maySync(version: string | undefined): boolean {
  return version !== undefined && compareVersions(version, '2.10.0') >= 0;
}

function defectOf(copies: number, version: string | undefined): string | undefined {
  if (copies === 1 || version === undefined || isReliable(version)) return undefined;
  return `servers of version ${version} may lose messages when one of them dies or the stream is full`;
}
