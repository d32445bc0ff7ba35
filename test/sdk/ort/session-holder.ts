import { openSession } from '../../../sdk/ort/index.ts';
import { addOneModel } from './models.ts';

// A parent for session.test.ts to kill: opens a session, says which process runs it, and waits.
const session = await openSession({ model: addOneModel() });
process.stdout.write(`${session.pids[0]}\n`);
setInterval(() => undefined, 1_000);
