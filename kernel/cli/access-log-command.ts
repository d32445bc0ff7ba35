import type { JsonObject } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { PluginService } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { StopSignal } from './stop-signal.ts';
import { printable } from './printable.ts';
import type { Terminal } from './terminal.ts';

interface AccessLogOptions {
  readonly plugin?: string;
  readonly failed?: true;
  readonly json?: true;
}

/** `lamella access log`: calls as they end. */
export function addAccessLogCommand(access: Command, terminal: Terminal): void {
  const command = access
    .command('log')
    .description('show each call as it ends, until SIGINT; needs no access log to be kept')
    .option('--plugin <id>', 'only calls that this plugin got')
    .option('--failed', 'only calls that failed')
    .option('--json', 'print one JSON object a line, as the access log has it');
  for (const option of connectOptions()) command.addOption(option);
  command.action(async ({ plugin = '', failed, json }: AccessLogOptions) => {
    const kernel = await findKernel(command, terminal);
    const stop = new StopSignal(terminal);
    try {
      await withService(kernel, PluginService, async (client) => {
        const answers = client.watchAccessLog(
          { plugin, failedOnly: failed === true },
          { signal: stop.signal },
        );
        for await (const { fields, dropped } of answers) {
          if (dropped > 0n) terminal.err(`${dropped} lines were left out here: they came too fast`);
          if (fields === undefined) terminal.err('watching; each call is shown when it has ended');
          else terminal.out(printable(json === true ? JSON.stringify(fields) : lineText(fields)));
        }
      });
    } catch (error) {
      // What ends the stream is the signal that was waited for.
      if (!stop.signal.aborted) throw error;
    } finally {
      stop.close();
    }
  });
}

/** Time, status, duration, caller and method in columns, then what is said of a failure. */
function lineText(fields: JsonObject): string {
  const text = (name: string): string => {
    const value = fields[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  const status = text('code') === '' ? text('httpStatus') : text('code');
  const duration = `${Number(text('durationMs')).toFixed(1)} ms`;
  const [plugin, reason, cancelledBy] = [text('plugin'), text('reason'), text('cancelledBy')];
  const words = [
    text('time').slice(11, 23),
    status.padEnd(17),
    duration.padStart(11),
    text('principal').padEnd(12),
    text('method'),
    ...(plugin === '' ? [] : [`plugin=${plugin}`]),
    ...(reason === '' ? [] : [`reason=${reason}`]),
    ...(cancelledBy === '' ? [] : [`cancelledBy=${cancelledBy}`]),
  ];
  return words.join(' ');
}
