import assert from 'node:assert/strict';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { createReflectionServices } from '../../../kernel/server/reflection.ts';
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as Alpha } from '../../../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { PluginService } from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { Code } from '../../../sdk/index.ts';
import { clientOf } from '../../support/fake-host.ts';

type Question = ServerReflectionRequest['messageRequest'];

const services = createReflectionServices(() => [PluginService, ServerReflection]);

async function ask(question: Question): Promise<ServerReflectionResponse['messageResponse']> {
  const client = clientOf(ServerReflection, services.v1);
  async function* requests(): AsyncGenerator<{ host: string; messageRequest: Question }> {
    yield { host: 'h', messageRequest: question };
  }
  for await (const { validHost, messageResponse } of client.serverReflectionInfo(requests())) {
    assert.equal(validHost, 'h');
    return messageResponse;
  }
  return assert.fail('no answer');
}

/** Names of the files in an answer. */
async function files(question: Question): Promise<string[]> {
  const { case: kind, value } = await ask(question);
  if (kind !== 'fileDescriptorResponse') return assert.fail(String(kind));
  return value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

async function errorCode(question: Question): Promise<number | undefined> {
  const { case: kind, value } = await ask(question);
  return kind === 'errorResponse' ? value.errorCode : undefined;
}

const FILE = 'lamella/kernel/v1/plugin_service.proto';

describe('reflection', () => {
  it('lists the services in order', async () => {
    const { case: kind, value } = await ask({ case: 'listServices', value: '' });
    assert.equal(kind, 'listServicesResponse');
    assert.deepEqual(
      (value as { service: { name: string }[] }).service.map(({ name }) => name),
      ['grpc.reflection.v1.ServerReflection', 'lamella.kernel.v1.PluginService'],
    );
  });

  const symbols = ['PluginService', 'PluginService.ListPlugins', 'Plugin', 'Plugin.id', 'PluginState'];
  for (const symbol of symbols) {
    it(`finds the file that declares ${symbol}, with its imports`, async () => {
      const found = await files({ case: 'fileContainingSymbol', value: `lamella.kernel.v1.${symbol}` });
      assert.equal(found[0], FILE);
      assert.ok(found.includes('google/protobuf/timestamp.proto'));
    });
  }

  it('finds files by name, imported ones too', async () => {
    assert.equal((await files({ case: 'fileByFilename', value: FILE }))[0], FILE);
    const imported = 'google/protobuf/timestamp.proto';
    assert.deepEqual(await files({ case: 'fileByFilename', value: imported }), [imported]);
  });

  it('answers NOT_FOUND for what is not served and goes on', async () => {
    const unknown: readonly Question[] = [
      { case: 'fileByFilename', value: 'x.proto' },
      { case: 'fileContainingSymbol', value: 'x.Y' },
      { case: 'allExtensionNumbersOfType', value: 'x.Y' },
    ];
    for (const question of unknown) assert.equal(await errorCode(question), Code.NOT_FOUND);
    assert.equal(await errorCode({ case: undefined }), Code.INVALID_ARGUMENT);
  });

  it('knows that no message here has extensions', async () => {
    const { case: kind } = await ask({
      case: 'allExtensionNumbersOfType',
      value: 'lamella.kernel.v1.Plugin',
    });
    assert.equal(kind, 'allExtensionNumbersResponse');
  });

  it('serves v1alpha, which older tools ask for', async () => {
    async function* requests(): AsyncGenerator<{ messageRequest: { case: 'listServices'; value: string } }> {
      yield { messageRequest: { case: 'listServices', value: '' } };
    }
    for await (const { messageResponse } of clientOf(Alpha, services.v1alpha).serverReflectionInfo(
      requests(),
    )) {
      assert.equal(messageResponse.case, 'listServicesResponse');
    }
  });
});
