import { inputOf, nextMessage, tell } from '../setup/child.js';
import { LoopWatch } from '../setup/loop-watch.js';

// Idle next to the writer: it measures the machine's delay, and not the ledger's.
const { ms, isDelayWatched } = inputOf<{ ms: number; isDelayWatched: boolean }>();
tell({ isReady: true });
await nextMessage();
const watch = new LoopWatch(isDelayWatched);
await new Promise((resolve) => setTimeout(resolve, ms));
tell(watch.stop());
process.disconnect();
