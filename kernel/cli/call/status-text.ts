import { createRegistry, fromBinary, type JsonObject, type Registry, toJson } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import { file_google_rpc_error_details } from '../../../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../../proto/gen/google/rpc/status_pb.ts';
import { codeName } from '../../../sdk/index.ts';
import type { StatusError } from '../../status-error.ts';
import { wrap } from '../error-text.ts';

/** A failed call as JSON: what a script compares is the code's name and the details. */
export function statusJson(error: StatusError, types: Registry | undefined): JsonObject {
  return {
    code: codeName(error.code),
    number: error.code,
    message: error.message,
    details: detailsOf(error, types),
  };
}

/** A failed call for people: code and message, then one line for each detail. */
export function statusText(error: StatusError, types: Registry | undefined): string {
  const head = wrap(`error: ${codeName(error.code)}: ${error.message}`);
  const details = detailsOf(error, types).map(({ '@type': type, ...content }) => {
    const name = typeof type === 'string' ? type.replace(/^.*[/.]/, '') : '';
    return `  ${name} ${JSON.stringify(content)}`;
  });
  return [head, ...details].join('\n');
}

function detailsOf({ detailsBin }: StatusError, types: Registry | undefined): JsonObject[] {
  if (detailsBin === undefined) return [];
  const known = createRegistry(file_google_rpc_error_details, ...(types === undefined ? [] : [...types]));
  try {
    return fromBinary(StatusSchema, detailsBin).details.map((any) => detailJson(any, known));
  } catch {
    // Details are an extra: a status whose details are broken still has its code and message.
    return [{ '@type': 'unreadable', value: Buffer.from(detailsBin).toString('base64') }];
  }
}

function detailJson(any: Any, known: Registry): JsonObject {
  const message = anyUnpack(any, known);
  const schema = message === undefined ? undefined : known.getMessage(message.$typeName);
  if (message === undefined || schema === undefined) {
    return { '@type': any.typeUrl, value: Buffer.from(any.value).toString('base64') };
  }
  const json = toJson(schema, message, { registry: known });
  const content = typeof json === 'object' && json !== null && !Array.isArray(json) ? json : { value: json };
  return { '@type': any.typeUrl, ...content };
}
