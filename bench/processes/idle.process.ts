import { inputOf, nextMessage, tell } from '../setup/child.js';
import { LoopWatch } from '../setup/loop-watch.js';

// Does nothing beside the writer: the delay that it sees is the machine's, not the ledger's.
const { ms, isDelayWatched } = inputOf<{ ms: number; isDelayWatched: boolean }>();
tell({ isReady: true });
await nextMessage();
const watch = new LoopWatch(isDelayWatched);
await new Promise((resolve) => setTimeout(resolve, ms));
tell(watch.stop());
process.disconnect();
