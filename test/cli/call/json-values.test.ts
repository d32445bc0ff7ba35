import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jsonObjects } from '../../../kernel/cli/call/json-values.ts';

async function* pieces(...texts: string[]): AsyncGenerator<string> {
  yield* texts;
}

async function cut(...texts: string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const text of jsonObjects(pieces(...texts))) found.push(text);
  return found;
}

describe('JSON objects of a request stream', () => {
  it('are cut from lines, from one text in a row and from indented text', async () => {
    assert.deepEqual(await cut('{"a":1}\n{"a":2}\n'), ['{"a":1}', '{"a":2}']);
    assert.deepEqual(await cut('{"a":{}}{"a":[]}, {}'), ['{"a":{}}', '{"a":[]}', '{}']);
    assert.deepEqual(await cut('\ufeff{\n  "a": 1\n}\n'), ['{\n  "a": 1\n}']);
    assert.deepEqual(await cut(' \n'), []);
  });

  it('may hold braces, quotes and backslashes in strings', async () => {
    const hostile = JSON.stringify({ a: '}{"\\', b: '\\' });
    assert.deepEqual(await cut(hostile, hostile), [hostile, hostile]);
  });

  it('come out as they went in, wherever the text is cut', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      async (values, cuts) => {
        const text = values.map((value) => JSON.stringify(value)).join(' ');
        const places = [0, ...cuts.map((at) => at % (text.length + 1)).sort((a, b) => a - b), text.length];
        const parts = places.slice(1).map((end, index) => text.slice(places[index], end));
        assert.deepEqual(
          await cut(...parts),
          values.map((value) => JSON.stringify(value)),
        );
      },
    );
    await fc.assert(property);
  });

  it('are refused with the place where something else stands', async () => {
    await assert.rejects(cut('{} [1]'), /'\[' stands at character 4/);
    await assert.rejects(cut('hello'), /'h' stands at character 1/);
    await assert.rejects(cut('{"a":'), /ends within a JSON object/);
  });
});
