import assert from 'node:assert/strict';
import { create, fromJson, toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { EventService } from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { startTestKernel } from '../../sdk/testing/index.ts';
import { copyEcho } from '../support/echo-plugin.ts';

const ID = 'example.echo';

/** Tells who saw which event. */
const LISTENS = `host.serve(EchoService, createEchoService(host.version));
    const ticks = host.events.subscribe('test.tick');
    void (async () => {
      for await (const { payload } of ticks) {
        await host.events.publish('test.seen', String(payload) + ' by ' + host.version);
      }
    })();`;

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`a version that waits in STANDBY at isolation ${isolation}`, function () {
    this.timeout(60_000);

    it('gets no events, and gets them again after a rollback', async () => {
      const plugin = await copyEcho();
      await plugin.setManifest({ capabilities: { topics: ['test.*'] } });
      await plugin.replacePlugin('host.serve(EchoService, createEchoService(host.version));', LISTENS);
      const kernel = await startTestKernel({
        plugins: [plugin.directory],
        config: { plugins: { [ID]: { isolation } } },
      });
      const bus = kernel.call(EventService);
      const seen = bus.subscribe({ topics: ['test.seen'] })[Symbol.asyncIterator]();
      await seen.next();
      /** Publishes a tick; resolves with what was told of it first. */
      const tick = async (name: string): Promise<unknown> => {
        await bus.publish({ topic: 'test.tick', payload: fromJson(ValueSchema, name) });
        const next = await seen.next();
        assert.ok(next.done !== true);
        return toJson(ValueSchema, next.value.event?.payload ?? create(ValueSchema));
      };
      const rollBack = (): Promise<unknown> => kernel.call(PluginService).rollbackPlugin({ id: ID });
      assert.equal(await tick('first'), 'first by 0.1.0');
      await plugin.setVersion('0.2.0');
      await kernel.reload(ID);
      assert.equal(await tick('second'), 'second by 0.2.0');
      assert.equal(await tick('third'), 'third by 0.2.0');
      await rollBack();
      // A version handles events one after another: what it had seen meanwhile would be told before this.
      assert.equal(await tick('fourth'), 'fourth by 0.1.0');
      await rollBack();
      assert.equal(await tick('fifth'), 'fifth by 0.2.0');
      await kernel.stop();
      await plugin.remove();
    });
  });
}
