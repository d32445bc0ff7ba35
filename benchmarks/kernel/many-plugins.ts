import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { FieldDescriptorProto_Type, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { inTurns } from '../harness/in-turns.ts';
import { startKernel } from '../harness/kernel-server.ts';
import { cpuUs, pinApart, residentBytes, unpin } from '../harness/process-cpu.ts';
import { median, round } from '../harness/statistics.ts';
import { againstGoal, type Part } from './verdict.ts';

const PLUGINS = 1_000;
const METHODS = ['First', 'Second', 'Third', 'Fourth', 'Fifth'] as const;
const PAYLOAD_BYTES = 100;
const STARTS = 3;

/** What a thousand plugins of five methods cost, beside one of them. */
export async function manyPluginsBenchmark(): Promise<Part> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lamella-bench-many-'));
  try {
    const folders: string[] = [];
    for (let index = 0; index < PLUGINS; index += 1) folders.push(await writePlugin(folder, index));
    const one = await starts(folders.slice(0, 1));
    const many = await starts(folders);
    const added = PLUGINS - 1;
    const { cpuRatio, memoryKiBPerPlugin, ...cpu } = await calls(folders);
    const startMsPerPlugin = round((many.readyMs - one.readyMs) / added, 2);
    return {
      what: `${PLUGINS} inline plugins of ${METHODS.length} methods beside one; each has descriptors of its own`,
      figures: {
        ...cpu,
        cpuRatio,
        memoryKiBPerPlugin,
        startMsPerPlugin,
        startCpuMsPerPlugin: round((many.cpuMs - one.cpuMs) / added, 2),
      },
      verdict: [
        againstGoal(`CPU of a call with ${PLUGINS} plugins over that with one`, cpuRatio, 1.03),
        againstGoal('KiB of memory for each plugin', memoryKiBPerPlugin, 50),
        againstGoal('ms of start for each plugin', startMsPerPlugin, 1),
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Calls {
  readonly cpuUsWithOne: number;
  readonly cpuUsWithMany: number;
  readonly cpuRatio: number;
  readonly memoryKiBPerPlugin: number;
}

async function calls(folders: readonly string[]): Promise<Calls> {
  const one = await startKernel(folders.slice(0, 1));
  const many = await startKernel(folders);
  try {
    pinApart([one.pid, many.pid]);
    const workload = { path: '/bench.p0.v1.PluginService/First', request: REQUEST, concurrency: 16 };
    const servers = [
      { name: '1 plugin', ...one },
      { name: `${PLUGINS} plugins`, ...many },
    ];
    const [first, second] = await inTurns(servers, workload, { rounds: 21, stretchMs: 1_000 });
    // After the load both have the room that V8 gives to what is short-lived; before it only the larger one has.
    const addedBytes = residentBytes(many.pid) - residentBytes(one.pid);
    return {
      cpuUsWithOne: first?.cpuUs ?? Number.NaN,
      cpuUsWithMany: second?.cpuUs ?? Number.NaN,
      cpuRatio: second?.cpuRatio ?? Number.NaN,
      memoryKiBPerPlugin: round(addedBytes / 1024 / (PLUGINS - 1), 1),
    };
  } finally {
    unpin();
    await one.stop();
    await many.stop();
  }
}

interface Start {
  readonly readyMs: number;
  readonly cpuMs: number;
}

async function starts(folders: readonly string[]): Promise<Start> {
  const all: Start[] = [];
  for (let index = 0; index < STARTS; index += 1) {
    const kernel = await startKernel(folders);
    all.push({ readyMs: kernel.readyMs, cpuMs: cpuUs([kernel.pid]) / 1_000 });
    await kernel.stop();
  }
  return {
    readyMs: median(all.map((start) => start.readyMs)),
    cpuMs: median(all.map((start) => start.cpuMs)),
  };
}

/** Request of a method: its only field, `payload`, has number 1 and fewer than 128 bytes. */
const REQUEST: Uint8Array = Buffer.concat([Buffer.from([0x0a, PAYLOAD_BYTES]), Buffer.alloc(PAYLOAD_BYTES)]);

/** Writes a built plugin that echoes; its services and messages are like no other's. */
async function writePlugin(parent: string, index: number): Promise<string> {
  const directory = path.join(parent, `p${index}`);
  await mkdir(directory);
  const manifest = {
    id: `bench.p${index}`,
    version: '1.0.0',
    kernel: '*',
    entry: { module: 'plugin.cjs' },
    isolation: { preferred: 'INLINE', allowed: ['INLINE'] },
    provides: [{ service: `bench.p${index}.v1.PluginService` }],
  };
  await writeFile(path.join(directory, 'plugin.json'), JSON.stringify(manifest));
  await writeFile(path.join(directory, 'plugin.cjs'), codeOf(index));
  return directory;
}

function codeOf(index: number): string {
  const methods = METHODS.map(
    (name) => `${name[0]?.toLowerCase() ?? ''}${name.slice(1)}: ({ payload }) => ({ payload })`,
  );
  return `'use strict';
const { definePlugin } = require("lamella/sdk");
const { fileDesc, serviceDesc } = require("@bufbuild/protobuf/codegenv2");
const service = serviceDesc(fileDesc('${descriptorOf(index)}'), 0);
exports.default = definePlugin({ start(host) { host.serve(service, { ${methods.join(', ')} }); } });
`;
}

function descriptorOf(index: number): string {
  const name = `bench.p${index}.v1`;
  const file = create(FileDescriptorProtoSchema, {
    name: `bench/p${index}.proto`,
    package: name,
    syntax: 'proto3',
    messageType: METHODS.flatMap((method) =>
      ['Request', 'Response'].map((kind) => ({
        name: `${method}${kind}`,
        field: [{ name: 'payload', number: 1, type: FieldDescriptorProto_Type.BYTES, jsonName: 'payload' }],
      })),
    ),
    service: [
      {
        name: 'PluginService',
        method: METHODS.map((method) => ({
          name: method,
          inputType: `.${name}.${method}Request`,
          outputType: `.${name}.${method}Response`,
        })),
      },
    ],
  });
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString('base64');
}
