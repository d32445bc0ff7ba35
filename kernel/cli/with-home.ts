import path from 'node:path';
import { AccessService } from '../../proto/gen/lamella/kernel/v1/access_service_pb.ts';
import { openAccess } from '../access/open-access.ts';
import { builtin, builtinSlot } from '../builtin.ts';
import { createClient } from '../client.ts';
import { readConfig } from '../config.ts';
import { Dispatcher } from '../dispatcher.ts';
import { EventBus } from '../events.ts';
import { HomeLock } from '../home-lock.ts';
import { LocalTransport } from '../local-transport.ts';
import { createLogger } from '../logger.ts';
import { Router } from '../router.ts';
import { createAccessService } from '../server/access-service.ts';
import { LmdbStorage } from '../storage.ts';
import { KERNEL_VERSION } from '../version.ts';
import type { AccessClient } from './with-access.ts';

/** Lets a function use the access service of a home folder in which no kernel runs. @throws HOME_IN_USE, CONFIG_INVALID */
export async function withHome<Result>(
  home: string,
  use: (access: AccessClient) => Promise<Result>,
): Promise<Result> {
  const config = await readConfig(home);
  const lock = await HomeLock.take(home);
  const storage = new LmdbStorage(path.join(home, 'kernel'));
  try {
    const clock = { now: () => Date.now() };
    const [log, events] = [createLogger({ level: 'warn' }), new EventBus(clock)];
    const opened = await openAccess({ home, host: '127.0.0.1', config, storage, events, clock, log });
    const router = new Router();
    const service = builtin(
      AccessService,
      createAccessService(() => opened),
    );
    router.add(AccessService.typeName, '', builtinSlot([service], KERNEL_VERSION));
    const result = await use(
      createClient(AccessService, new LocalTransport(new Dispatcher(router, []), 'owner')),
    );
    await opened.close();
    return result;
  } finally {
    await storage.close();
    await lock.close();
  }
}
