import { Installer } from '../../../kernel/packaging/installer.ts';
import { TrustStore } from '../../../kernel/packaging/trust-store.ts';

/** Installs two folders in turn until it is killed; started by installations.test.ts. */
const [, , home = '', ...folders] = process.argv;
const nothing = async (): Promise<undefined> => undefined;
const installer = new Installer({
  home,
  kernel: { load: nothing, unload: nothing, rollBack: nothing },
  trust: new TrustStore(home),
  environment: process.env,
  progress: () => undefined,
});
for (let count = 0; ; count += 1) {
  await installer.install(folders[count % folders.length] ?? '', {});
  if (count === 0) process.stdout.write('started\n');
}
