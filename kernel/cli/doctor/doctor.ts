import path from 'node:path';
import type { Connection } from '../connect.ts';
import { CommandFailed } from '../exit-code.ts';
import { PACKAGE_DIRECTORY } from '../../../sdk/package-directory.ts';
import type { PlaceOptions } from '../start-options.ts';
import type { Terminal } from '../terminal.ts';
import { checksText } from './check.ts';
import { homeChecks } from './home-checks.ts';
import { kernelChecks } from './kernel-checks.ts';
import { machineChecks } from './machine-checks.ts';
import { acceleratorChecks, gpuCheck, nativeChecks } from './native-checks.ts';
import { portChecks } from './port-checks.ts';

/** One run of `lamella doctor`. */
export interface DoctorRun {
  readonly options: PlaceOptions & { readonly json?: true };
  readonly terminal: Terminal;
  /** The kernel that would be called. */
  readonly kernel: Connection;
}

/** Runs all checks. @throws CommandFailed when one has failed */
export async function doctor({ options, terminal, kernel }: DoctorRun): Promise<void> {
  const home = path.resolve(options.home ?? terminal.environment['LAMELLA_HOME'] ?? '.lamella');
  const ports = { grpc: options.grpcPort, http: options.httpPort, metrics: options.metricsPort };
  const checks = (
    await Promise.all([
      machineChecks(PACKAGE_DIRECTORY),
      portChecks(options.host, ports),
      homeChecks(home),
      nativeChecks(PACKAGE_DIRECTORY),
      acceleratorChecks(PACKAGE_DIRECTORY),
      gpuCheck().then((check) => [check]),
      kernelChecks(kernel),
    ])
  ).flat();
  const isWell = checks.every(({ verdict }) => verdict !== 'failed');
  terminal.out(
    options.json === true ? JSON.stringify({ ok: isWell, checks }, undefined, 2) : checksText(checks),
  );
  if (!isWell) throw new CommandFailed();
}
