import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import { createLogger, type KernelLogger, type LoggerOptions } from '../../kernel/logger.ts';
import { DeclaredError, Code } from '../../sdk/index.ts';

function capture(options: LoggerOptions = {}): {
  log: KernelLogger;
  lines: string[];
  last(): Record<string, unknown>;
} {
  const lines: string[] = [];
  const log = createLogger({
    format: 'json',
    level: 'debug',
    now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
}

describe('logger', () => {
  it('writes one JSON object a line with time, level, message and fields', () => {
    const { log, lines } = capture();
    log.info('started', { port: 8001, name: 'kernel' });
    assert.deepEqual(lines, [
      '{"time":"2026-01-02T03:04:05.678Z","level":"info","port":8001,"name":"kernel","message":"started"}\n',
    ]);
  });

  it('writes nothing below its level, and follows a change of level in every child', () => {
    const { log, lines } = capture({ level: 'warn' });
    const child = log.child({ plugin: 'data.store' });
    child.info('quiet');
    child.warn('heard');
    log.level = 'silent';
    child.error('silent');
    log.level = 'debug';
    child.debug('again');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { message: string }).message),
      ['heard', 'again'],
    );
    assert.equal(child.level, 'debug');
  });

  it('gives children the fields of their parents, which a line cannot override', () => {
    const { log, last } = capture();
    log
      .child({ plugin: 'data.store' })
      .child({ instance: 2 })
      .warn('slow', { plugin: 'forged', level: 'x', time: 1 });
    assert.deepEqual(last(), {
      time: '2026-01-02T03:04:05.678Z',
      level: 'warn',
      message: 'slow',
      plugin: 'data.store',
      instance: 2,
    });
  });

  it('redacts fields named like a secret at any depth, but keeps counts', () => {
    const { log, last } = capture();
    log.info('x', {
      password: 'p',
      nested: {
        apiKey: 'k',
        headers: new Map([['authorization', 'Bearer abc']]),
        maxTokens: 12,
        token: ['a'],
      },
    });
    assert.deepEqual(
      { password: last()['password'], nested: last()['nested'] },
      {
        password: '[redacted]',
        nested: {
          apiKey: '[redacted]',
          headers: { authorization: '[redacted]' },
          maxTokens: 12,
          token: '[redacted]',
        },
      },
    );
  });

  it('redacts credentials inside text', () => {
    const { log, last } = capture();
    log.info('sent Authorization: Bearer abcdefghijkl', { url: 'mysql://root:hunter2@db/x' });
    assert.equal(last()['message'], 'sent Authorization: Bearer [redacted]');
    assert.equal(last()['url'], 'mysql://[redacted]@db/x');
  });

  it('writes errors with stack, cause and own fields, also from another realm', () => {
    const { log, last } = capture();
    const cause = runInNewContext("new TypeError('inner')") as Error;
    const error = new DeclaredError({ reason: 'MODEL_GONE', code: Code.NOT_FOUND, message: 'gone', cause });
    log.error('failed', { error });
    const written = last()['error'] as {
      reason: string;
      stack: string;
      cause: { name: string; message: string };
    };
    assert.equal(written.reason, 'MODEL_GONE');
    assert.match(written.stack, /gone\n\s+at /);
    assert.deepEqual([written.cause.name, written.cause.message], ['TypeError', 'inner']);
  });

  it('survives cycles, depth, length, bytes and objects that throw', () => {
    const { log, last } = capture();
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    let deep: unknown = 1;
    for (let level = 0; level < 20; level += 1) deep = { deep };
    log.info('x', {
      cycle,
      deep,
      long: 'a'.repeat(10_000),
      list: Array.from({ length: 200 }, (_, index) => index),
      wide: Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`k${index}`, index])),
      set: new Set([1]),
      bytes: new Uint8Array(5),
      big: 12n,
      notANumber: Number.NaN,
      when: new Date(0),
      never: new Date(Number.NaN),
      nothing: null,
      call: () => 1,
      hostile: new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('no');
          },
        },
      ),
    });
    const line = last();
    assert.deepEqual(line['cycle'], { self: '[circular]' });
    assert.match(JSON.stringify(line['deep']), /\[too deep\]/);
    assert.match(String(line['long']), /… \(10000 characters\)$/);
    assert.equal((line['list'] as unknown[]).length, 101);
    assert.equal(Object.keys(line['wide'] as object).length, 101);
    assert.deepEqual(
      [
        line['set'],
        line['bytes'],
        line['big'],
        line['notANumber'],
        line['when'],
        line['never'],
        line['nothing'],
      ],
      [[1], '[5 bytes]', '12', 'NaN', '1970-01-01T00:00:00.000Z', '[invalid date]', null],
    );
    assert.deepEqual([line['call'], line['hostile']], ['[function]', '[unreadable]']);
  });

  it('writes lines for people with the plugin in front and the error below', () => {
    const { log, lines } = capture({ format: 'human' });
    const error = new Error('outer', { cause: new Error('inner') });
    error.stack = 'Error: outer\n    at here';
    (error.cause as Error).stack = 'Error: inner';
    log.child({ plugin: 'data.store' }).error('failed', { rows: 3, list: [1], gone: undefined, error });
    log.info('plain', { error: 'text' });
    assert.deepEqual(lines, [
      '03:04:05.678 \u001b[31merror\u001b[0m data.store: failed rows=3 list=[1] gone=undefined\n' +
        '    Error: outer\n        at here\n    Error: inner\n',
      '03:04:05.678 \u001b[36minfo \u001b[0m plain\n    text\n',
    ]);
  });

  it('keeps hostile text from forging a line or driving the terminal', () => {
    const { log, lines } = capture({ format: 'human' });
    log.info('a\n03:04 error forged', { name: '\u001b[2J', 'k\n': '\u2028' });
    assert.equal(
      lines.join(''),
      '03:04:05.678 \u001b[36minfo \u001b[0m a\\u000a03:04 error forged name=\\u001b[2J k\\u000a=\\u2028\n',
    );
  });
});
