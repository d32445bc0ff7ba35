import { toJson } from '@bufbuild/protobuf';
import { timestampDate, ValueSchema } from '@bufbuild/protobuf/wkt';
import { type Command, InvalidArgumentError } from 'commander';
import Table from 'cli-table3';
import {
  EventService,
  type SubscribeResponse,
  type TopicStatus,
} from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import type { Client } from '../../sdk/index.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { EXIT_HELP } from './exit-code.ts';
import { PLAIN, tableText } from './plugin-table.ts';
import { StopSignal } from './stop-signal.ts';
import type { Terminal } from './terminal.ts';

interface EventsOptions {
  readonly from: number;
  readonly limit: number;
  readonly list?: true;
  readonly json?: true;
}

/** `lamella events`: what happens on the topics of a running kernel, until it is stopped. */
export function addEventsCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('events')
    .description('show events as they happen, or those that were kept')
    .argument('[topic...]', 'topics; * at the end takes in all that begin so', ['*'])
    .option('--from <number>', 'first event wanted of one durable topic; 1 is the oldest kept', parseCount, 0)
    .option('--limit <number>', 'end after so many events (default: run until stopped)', parseCount, Infinity)
    .option('--list', 'list the topics instead')
    .option('--json', 'print JSON, one event a line');
  for (const option of connectOptions()) command.addOption(option);
  command.addHelpText('after', HELP).action(async (topics: string[], options: EventsOptions) => {
    const kernel = await findKernel(command, terminal);
    await withService(kernel, EventService, (events) =>
      options.list === true
        ? list(events, terminal, options.json === true)
        : follow(events, terminal, { ...options, topics }),
    );
  });
}

async function follow(
  events: Client<typeof EventService>,
  terminal: Terminal,
  { topics, from, limit, json }: EventsOptions & { readonly topics: readonly string[] },
): Promise<void> {
  const stop = new StopSignal(terminal);
  const { signal } = stop;
  let count = 0;
  try {
    if (limit === 0) return;
    const request = { topics: [...topics], fromSequence: BigInt(from) };
    for await (const answer of events.subscribe(request, { signal })) {
      if (answer.event === undefined) continue;
      if (json === true) terminal.out(JSON.stringify(jsonOf(answer)));
      else show(answer, terminal);
      count += 1;
      if (count >= limit) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stop.close();
  }
}

function jsonOf({ event, dropped }: SubscribeResponse): Record<string, unknown> {
  const { topic = '', sequence = 0n, source = '', publishTime, payload } = event ?? {};
  return {
    topic,
    sequence: Number(sequence),
    time: publishTime === undefined ? null : timestampDate(publishTime).toISOString(),
    source,
    payload: payload === undefined ? null : toJson(ValueSchema, payload),
    dropped: Number(dropped),
  };
}

function show(answer: SubscribeResponse, terminal: Terminal): void {
  const { topic, sequence, time, source, payload } = jsonOf(answer);
  if (answer.dropped > 0n) terminal.err(`${answer.dropped} events before the next one were missed.`);
  terminal.out(
    `${String(time)} ${String(topic)} ${String(sequence)} ${String(source)} ${JSON.stringify(payload)}`,
  );
}

async function list(events: Client<typeof EventService>, terminal: Terminal, isJson: boolean): Promise<void> {
  const topics: TopicStatus[] = [];
  let pageToken = '';
  do {
    const page = await events.listTopics({ pageSize: 1000, pageToken });
    topics.push(...page.topics);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  const rows = topics.map(topicRow);
  if (isJson) {
    terminal.out(JSON.stringify(rows, undefined, 2));
    return;
  }
  const table = new Table({
    head: ['topic', 'owner', 'durable', 'kept from', 'last', 'subscribers', 'dropped'],
    style: { head: [], border: [], compact: true },
    chars: PLAIN,
  });
  for (const row of rows) {
    table.push([
      row.name,
      row.owner,
      row.durable ? 'yes' : 'no',
      row.first,
      row.last,
      row.subscribers,
      row.dropped,
    ]);
  }
  terminal.out(tableText(table));
}

interface TopicRow {
  readonly name: string;
  readonly owner: string;
  readonly durable: boolean;
  readonly first: number;
  readonly last: number;
  readonly subscribers: number;
  readonly dropped: number;
}

function topicRow(topic: TopicStatus): TopicRow {
  return {
    name: topic.name,
    owner: topic.owner,
    durable: topic.declaration?.durable ?? false,
    first: Number(topic.firstSequence),
    last: Number(topic.lastSequence),
    subscribers: topic.subscribers,
    dropped: Number(topic.dropped),
  };
}

function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError(`'${text}' is not a whole number.`);
  }
  return value;
}

const HELP = `
Examples:
  lamella events
  lamella events 'kernel.*' --json
  lamella events orders.placed --from 1 --limit 100
  lamella events --list
${EXIT_HELP}`;
