import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { shippedServices } from '../../../kernel/loader/proto/shipped-services.ts';
import { readManifest } from '../../../kernel/registry/manifest.ts';
import { withService } from '../../../kernel/cli/connect.ts';
import { isDeclaredError } from '../../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { ServerReflection } from '../../../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { makeTextPlugin, type TextPlugin } from '../../support/text-plugin.ts';

interface Shouting {
  shout(request: { text: string }): Promise<{ text: string }>;
  repeat(request: { text: string }): AsyncIterable<{ text: string }>;
}

describe('a plugin of .proto text and a command', function () {
  this.timeout(20_000);
  let plugin: TextPlugin;
  let kernel: TestKernel | undefined;

  beforeEach(async () => {
    plugin = await makeTextPlugin();
  });

  afterEach(async () => {
    await kernel?.stop();
    kernel = undefined;
    await plugin.remove();
  });

  async function service(): Promise<DescService> {
    const [found] = await shippedServices(await readManifest(plugin.directory), plugin.directory);
    assert.ok(found);
    return found;
  }

  function address(): { host: string; port: number } {
    const [host = '', port = ''] = kernel?.addresses.grpc.split(':') ?? [];
    return { host, port: Number(port) };
  }

  it('is called from outside and described by reflection, though it announces nothing', async () => {
    kernel = await startTestKernel({ plugins: [plugin.directory] });
    const answers = await withService(address(), await service(), async (client) => {
      const shouting = client as unknown as Shouting;
      const all = [(await shouting.shout({ text: 'ada' })).text];
      for await (const { text } of shouting.repeat({ text: 'bob' })) all.push(text);
      return all;
    });
    assert.deepEqual(answers, ['ADA', 'BOB', 'BOB', 'BOB']);
    const files = await withService(address(), ServerReflection, async (client) => {
      const asked = {
        messageRequest: { case: 'fileContainingSymbol', value: 'text.v1.ShoutService' },
      } as const;
      async function* requests(): AsyncGenerator<typeof asked> {
        yield asked;
      }
      for await (const { messageResponse } of client.serverReflectionInfo(requests())) {
        if (messageResponse.case === 'fileDescriptorResponse')
          return messageResponse.value.fileDescriptorProto.length;
      }
      return 0;
    });
    assert.equal(files, 2, 'the file and the timestamp that it imports');
  });

  it('has calls wait for it while it starts', async () => {
    await plugin.put('wait', '');
    kernel = await startTestKernel({ plugins: [] });
    const loading = kernel.load(plugin.directory);
    const described = await service();
    const waiting = withService(address(), described, async (client) => {
      for (;;) {
        try {
          return await (client as unknown as Shouting).shout({ text: 'early' });
        } catch (error) {
          // Until the kernel has read the text it knows no such service.
          if (!(error instanceof Error) || !('code' in error) || error.code !== 12) throw error;
        }
      }
    });
    while (!isStarting(kernel)) await new Promise((resolve) => setImmediate(resolve));
    await rm(path.join(plugin.directory, 'wait'));
    await loading;
    assert.equal((await waiting).text, 'EARLY');
  });

  it('stays in service when its text is broken at a reload, and the reason is told', async () => {
    kernel = await startTestKernel({ plugins: [plugin.directory] });
    await plugin.put('proto/text/v1/shout_service.proto', 'syntax = "proto3"; service {');
    await assert.rejects(kernel.reload('example.shout'), (error) => reasonOf(error) === 'PROTO_TEXT_INVALID');
    assert.equal(kernel.describe('example.shout').state, 'ACTIVE');
    assert.match(kernel.describe('example.shout').reason, /shout_service\.proto/);
  });

  it('offers a method that a new version adds', async () => {
    kernel = await startTestKernel({ plugins: [plugin.directory] });
    const file = path.join(plugin.directory, 'proto/text/v1/shout_service.proto');
    const more = readFileSync(file, 'utf8').replace(
      'rpc Repeat',
      'rpc More(ShoutRequest) returns (ShoutResponse); rpc Repeat',
    );
    await plugin.put('proto/text/v1/shout_service.proto', more);
    const program = readFileSync(path.join(plugin.directory, 'program.cjs'), 'utf8');
    await plugin.put(
      'program.cjs',
      program.replaceAll(
        "shout: method('/text.v1.ShoutService/Shout', false)",
        "shout: method('/text.v1.ShoutService/More', false)",
      ),
    );
    await kernel.reload('example.shout');
    const { text } = await withService(address(), await service(), (client) =>
      (client as unknown as { more: Shouting['shout'] }).more({ text: 'new' }),
    );
    assert.equal(text, 'NEW');
  });

  it('is refused without text, and leaves no process behind', async () => {
    kernel = await startTestKernel({ plugins: [] });
    await plugin.setManifest({ protos: [] });
    await assert.rejects(kernel.load(plugin.directory), (error) => reasonOf(error) === 'SERVICE_UNDESCRIBED');
    assert.throws(() => kernel?.describe('example.shout'), /No plugin 'example.shout'/);
  });

  it('is refused before it runs when its text lacks the service', async () => {
    kernel = await startTestKernel({ plugins: [] });
    await plugin.setManifest({
      provides: [{ service: 'text.v1.WhisperService' }],
      entry: { command: ['./this-never-runs'] },
    });
    await assert.rejects(kernel.load(plugin.directory), (error) => reasonOf(error) === 'SERVICE_UNDESCRIBED');
  });
});

function reasonOf(error: unknown): string {
  return isDeclaredError(error) ? error.reason : String(error);
}

function isStarting(kernel: TestKernel): boolean {
  try {
    return kernel.describe('example.shout').state === 'STARTING';
  } catch {
    // Its manifest is not read yet.
    return false;
  }
}
