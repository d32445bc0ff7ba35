import { type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  LogLevel as WireLevel,
  type LogEntrySchema,
  type PluginService,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { ServiceImplementation } from '../../sdk/index.ts';
import type { LogBook, LogLine } from '../log-book.ts';
import type { LogLevel } from '../logger.ts';
import type { AccessFeed } from '../observe/access-feed.ts';

/** Lines from before that one call may ask for. */
const LINES_LIMIT = 1_000;

type LogMethods = 'tailLogs' | 'setLogLevel' | 'watchAccessLog';

/** The methods of PluginService about logs. */
export function createLogMethods(
  book: LogBook,
  feed: AccessFeed,
  check: (id: string) => void,
): Pick<ServiceImplementation<typeof PluginService>, LogMethods> {
  return {
    async *tailLogs({ ids, lines, follow }, context) {
      for (const id of ids) check(id);
      // A call that waits for lines says at once that it is in place.
      const answers = book.tail({
        ids,
        lines: Math.min(lines, LINES_LIMIT),
        follow,
        signal: context.signal,
      });
      for await (const line of answers) yield { entry: entryOf(line) };
    },
    async *watchAccessLog({ plugin, failedOnly }, { signal }) {
      if (plugin !== '') check(plugin);
      for await (const { json, dropped } of feed.watch({ plugin, failedOnly, signal })) {
        const fields = json === undefined ? {} : { fields: JSON.parse(json) as JsonObject };
        yield { ...fields, dropped: BigInt(dropped) };
      }
    },
    setLogLevel: ({ id, level }) => {
      check(id);
      book.setLevel(id, levelOf(level));
      return { level };
    },
  };
}

function entryOf(line: LogLine): MessageInitShape<typeof LogEntrySchema> {
  return {
    pluginId: line.plugin,
    level: wireLevel(line.level),
    message: line.message,
    fields: line.fields as JsonObject,
    time: timestampFromMs(line.timeMs),
    dropped: BigInt(line.dropped),
  };
}

const LEVELS = {
  debug: WireLevel.DEBUG,
  info: WireLevel.INFO,
  warn: WireLevel.WARN,
  error: WireLevel.ERROR,
} as const;

/** A level on the wire; silence has none. */
export function wireLevel(level: LogLevel | undefined): WireLevel {
  return level === undefined || level === 'silent' ? WireLevel.UNSPECIFIED : LEVELS[level];
}

/** A level from the wire; `undefined` where it says nothing. */
export function levelOf(level: WireLevel): Exclude<LogLevel, 'silent'> | undefined {
  return (Object.keys(LEVELS) as (keyof typeof LEVELS)[]).find((name) => LEVELS[name] === level);
}
