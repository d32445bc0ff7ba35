import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
} from '../../../proto/gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { IsolationLevel, type Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { Code } from '../../../sdk/index.ts';
import { Call } from '../../call.ts';
import { createKernel, type Kernel } from '../../kernel.ts';
import { LinkClient } from '../../link/link-client.ts';
import { startLimitMs } from '../../loader/time-limits.ts';
import { readManifest } from '../../registry/manifest.ts';
import { type Address, parseAddress, withService } from '../connect.ts';
import { CALL_POINTS } from './call-points.ts';
import { Probe, wordsOf } from './probe.ts';
import { lookAt, PROCESS_POINTS } from './process-points.ts';
import { ContractBroken, NotApplicable, type Point, Report } from './report.ts';

/** What `lamella plugin check` is asked for. */
export interface CheckOptions {
  readonly directory: string;
  /** Folders of plugins that provide what this one requires. */
  readonly with: readonly string[];
  /** A `config.json` to check it with. */
  readonly configFile?: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly tell: (point: Point) => void;
}

/** Checks a plugin against the contract, in a kernel of its own that is gone afterwards. */
export async function checkPlugin(options: CheckOptions): Promise<Report> {
  const report = new Report(options.tell);
  const directory = path.resolve(options.directory);
  let manifest: Manifest | undefined;
  await report.check({ id: 'manifest', title: 'plugin.json is valid' }, async () => {
    manifest = await readManifest(directory);
    return `${manifest.id} ${manifest.version}`;
  });
  if (manifest === undefined) return report;
  const home = await mkdtemp(path.join(tmpdir(), 'lamella-check-home-'));
  const kernel = createKernel({
    home,
    grpcPort: 0,
    httpPort: 0,
    metricsPort: 0,
    logLevel: 'silent',
    pluginDirectories: options.with,
    environment: options.environment,
  });
  try {
    await writeConfig(home, manifest, options.configFile);
    const { grpc } = await kernel.start();
    const subject: Subject = { manifest, directory, kernel, address: parseAddress(grpc) };
    await checkInKernel(report, subject, options.environment);
  } finally {
    await kernel.stop();
    await rm(home, { recursive: true, force: true });
  }
  return report;
}

interface Subject {
  readonly manifest: Manifest;
  readonly directory: string;
  readonly kernel: Kernel;
  readonly address: Address;
}

/** In a process where the plugin allows one: that is where the contract can be broken. */
async function writeConfig(home: string, manifest: Manifest, configFile: string | undefined): Promise<void> {
  const given = JSON.parse(configFile === undefined ? '{}' : await readFile(configFile, 'utf8')) as {
    plugins?: Record<string, object>;
  };
  const levels = [manifest.isolation?.preferred, ...(manifest.isolation?.allowed ?? [])];
  const level = levels.includes(IsolationLevel.PROCESS) ? { isolation: 'PROCESS' } : {};
  const plugins = { ...given.plugins, [manifest.id]: { ...level, ...given.plugins?.[manifest.id] } };
  await writeFile(path.join(home, 'config.json'), JSON.stringify({ ...given, plugins }));
}

async function checkInKernel(
  report: Report,
  subject: Subject,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const { manifest, directory, kernel, address } = subject;
  const started = await report.check(
    { id: 'start', title: 'it starts in time, and all its services are described' },
    async () => {
      const begin = performance.now();
      const { slot } = await kernel.plugins.load(directory);
      return `ready after ${Math.round(performance.now() - begin)} ms as ${slot.instance?.isolation ?? ''}`;
    },
  );
  if (!started) return;
  const services = kernel.plugins.record(manifest.id).active?.services ?? [];
  await report.check({ id: 'health', title: 'health says SERVING for the whole and for each service' }, () =>
    healthIsGood(subject),
  );
  await report.check({ id: 'reflection', title: 'reflection describes each service' }, () =>
    reflectionKnows(subject),
  );
  await report.check({ id: 'unknown-method', title: 'an unknown method is UNIMPLEMENTED' }, () =>
    unknownIsRefused(subject),
  );
  const link = await LinkClient.connect(address);
  const probe = new Probe(link, services);
  try {
    for (const point of CALL_POINTS) await report.check(point, () => point.look(probe));
    await report.check(
      { id: 'kill', title: 'it is started again after kill -9, and calls wait for that' },
      () => comesBack(subject, probe),
    );
  } finally {
    await link.close();
  }
  for (const point of PROCESS_POINTS) {
    await report.check(point, () => lookAt(point, { manifest, directory, services, environment }));
  }
}

/** Calls the instance itself, past the kernel's routes. */
async function callInstance(
  { kernel, manifest }: Subject,
  method: string,
  request: Uint8Array,
): Promise<Uint8Array> {
  const { instance } = kernel.plugins.record(manifest.id).slot;
  if (instance === undefined)
    throw new ContractBroken('it has ended meanwhile', 'Look at what it logs: lamella plugin dev DIR.');
  if (instance.isolation !== 'PROCESS')
    throw new NotApplicable(`it runs ${instance.isolation}, where the kernel sees to it`);
  const call = new Call({
    readHeaders: () => new Map(),
    readPeer: () => 'check',
    deadlineMs: Date.now() + 5_000,
  });
  return instance.target.unary(method, request, call);
}

async function healthIsGood(subject: Subject): Promise<string> {
  const names = ['', ...subject.manifest.provides.map(({ service }) => service)];
  for (const service of names) {
    const request = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }));
    const answer = await callInstance(subject, '/grpc.health.v1.Health/Check', request).then(
      (bytes) => fromBinary(HealthCheckResponseSchema, bytes).status,
      (error: unknown) => {
        if (error instanceof NotApplicable || error instanceof ContractBroken) throw error;
        return (error as Error).message;
      },
    );
    if (answer === ServingStatus.SERVING) continue;
    throw new ContractBroken(
      `it answers ${typeof answer === 'string' ? answer : (ServingStatusName.get(answer) ?? String(answer))} for '${service}'`,
      `Set the status of '${service}' to SERVING in the health service of your gRPC library.`,
    );
  }
  return names.map((name) => `'${name}'`).join(', ');
}

const ServingStatusName: ReadonlyMap<number, string> = new Map(
  Object.entries(ServingStatus).map(([name, number]) => [number, name]),
);

async function reflectionKnows({ manifest, address }: Subject): Promise<string> {
  for (const { service } of manifest.provides) {
    const files = await withService(address, ServerReflection, async (reflection) => {
      async function* requests() {
        yield { messageRequest: { case: 'fileContainingSymbol', value: service } } as const;
      }
      for await (const { messageResponse } of reflection.serverReflectionInfo(requests())) {
        if (messageResponse.case === 'fileDescriptorResponse')
          return messageResponse.value.fileDescriptorProto.length;
      }
      return 0;
    });
    if (files === 0)
      throw new ContractBroken(
        `it does not know ${service}`,
        "Name the service's file under protos in plugin.json.",
      );
  }
  return manifest.provides.map(({ service }) => service).join(', ');
}

async function unknownIsRefused(subject: Subject): Promise<string> {
  const service = subject.manifest.provides[0]?.service;
  if (service === undefined) throw new NotApplicable('it provides no service');
  const method = `/${service}/NoSuchMethod`;
  try {
    await callInstance(subject, method, new Uint8Array());
  } catch (error) {
    if ((error as { code?: unknown }).code === Code.UNIMPLEMENTED) return method;
    if (error instanceof NotApplicable || error instanceof ContractBroken) throw error;
    throw new ContractBroken(
      `${method}: ${(error as Error).message}`,
      'Answer UNIMPLEMENTED, as gRPC libraries do by themselves.',
    );
  }
  throw new ContractBroken(
    `${method} was answered`,
    'Answer UNIMPLEMENTED, as gRPC libraries do by themselves.',
  );
}

/** Beyond the time to start: the pause before a restart, and one call. In milliseconds. */
const KILL_PATIENCE_MS = 5_000;

async function comesBack({ kernel, manifest }: Subject, probe: Probe): Promise<string> {
  const record = kernel.plugins.record(manifest.id);
  const { instance } = record.slot;
  const pid = instance?.pid;
  const [method] = probe.methods;
  if (instance === undefined || pid === undefined) throw new NotApplicable('it has no process of its own');
  if (method === undefined) throw new NotApplicable('it has no method');
  const expected = await probe.ask(method);
  const begin = performance.now();
  process.kill(pid, 'SIGKILL');
  await instance.crashed;
  const limitMs = startLimitMs(manifest) + KILL_PATIENCE_MS;
  let answer = await probe.ask(method);
  while (answer.code !== expected.code && performance.now() - begin < limitMs)
    answer = await probe.ask(method);
  if (answer.code === expected.code)
    return `answered again after ${Math.round(performance.now() - begin)} ms`;
  throw new ContractBroken(
    `calls still end with ${wordsOf(answer)}`,
    'Start quickly and from nothing: whatever the plugin needs must survive its sudden death.',
  );
}
