import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestKernel, type TestKernel } from 'lamella/sdk/testing';
import { GreeterService } from './gen/greeter/v1/greeter_service_pb.ts';

let kernel: TestKernel;

before(async () => {
  kernel = await startTestKernel({
    plugins: ['.'],
    config: { plugins: { 'example.greeter': { config: { greeting: 'Good day' } } } },
  });
});

after(() => kernel.stop());

test('greets by name, with the configured word', async () => {
  const { text } = await kernel.call(GreeterService).greet({ name: 'Ada' });
  assert.equal(text, 'Good day, Ada!');
});

test('refuses a request without a name and says what to do', async () => {
  await assert.rejects(kernel.call(GreeterService).greet({}), /say who is to be greeted/);
});

test('greets each name as it comes', async () => {
  async function* names(): AsyncGenerator<{ name: string }> {
    yield { name: 'Ada' };
    yield { name: 'Grace' };
  }
  const texts: string[] = [];
  for await (const { text } of kernel.call(GreeterService).greetEach(names())) texts.push(text);
  assert.deepEqual(texts, ['Good day, Ada!', 'Good day, Grace!']);
});
