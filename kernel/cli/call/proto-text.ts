import type { DescEnum, DescField, DescMessage, DescMethod, DescService } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';

/** A service as it stands in a `.proto` file, so that people read what they would write. */
export function serviceText(service: DescService): string {
  const methods = service.methods.map((method) => `  ${methodText(method)}`);
  return [`service ${service.typeName} {`, ...methods, '}'].join('\n');
}

/** The line of one method. */
export function methodText({ name, input, output, methodKind }: DescMethod): string {
  const takes = methodKind === 'client_streaming' || methodKind === 'bidi_streaming' ? 'stream ' : '';
  const answers = methodKind === 'server_streaming' || methodKind === 'bidi_streaming' ? 'stream ' : '';
  return `rpc ${name}(${takes}${input.typeName}) returns (${answers}${output.typeName});`;
}

/** A message with its fields; types by their full names, so that each can be asked for. */
export function messageText(message: DescMessage): string {
  const lines = message.members.flatMap((member) =>
    member.kind === 'oneof'
      ? [`  oneof ${member.name} {`, ...member.fields.map((field) => `    ${fieldText(field)}`), '  }']
      : [`  ${fieldText(member)}`],
  );
  return [`message ${message.typeName} {`, ...lines, '}'].join('\n');
}

/** An enum with its values. */
export function enumText({ typeName, values }: DescEnum): string {
  return [`enum ${typeName} {`, ...values.map(({ name, number }) => `  ${name} = ${number};`), '}'].join(
    '\n',
  );
}

/** A method with its messages and those directly inside them: enough to write a request. */
export function methodDescription(method: DescMethod): string {
  const { input, output } = method;
  const parts = [methodText(method), messageText(input)];
  if (output !== input) parts.push(messageText(output));
  for (const inner of innerTypes([input, output])) {
    parts.push(inner.kind === 'enum' ? enumText(inner) : messageText(inner));
  }
  return parts.join('\n\n');
}

function innerTypes(messages: readonly DescMessage[]): ReadonlySet<DescMessage | DescEnum> {
  const found = new Set<DescMessage | DescEnum>();
  for (const { fields } of messages) {
    for (const field of fields) {
      const inner = field.message ?? field.enum;
      const isKnown = inner === undefined || messages.some((message) => message === inner);
      // Types of Google are known to everybody, and a Struct says nothing by its fields.
      if (!isKnown && !inner.typeName.startsWith('google.protobuf.')) found.add(inner);
    }
  }
  return found;
}

function fieldText(field: DescField): string {
  return `${typeText(field)} ${field.name} = ${field.number};`;
}

function typeText(field: DescField): string {
  switch (field.fieldKind) {
    case 'map':
      return `map<${scalar(field.mapKey)}, ${elementText(field)}>`;
    case 'list':
      return `repeated ${elementText(field)}`;
    default:
      return `${field.proto.proto3Optional ? 'optional ' : ''}${elementText(field)}`;
  }
}

function elementText({ message, enum: enumeration, scalar: type }: DescField): string {
  return message?.typeName ?? enumeration?.typeName ?? scalar(type ?? ScalarType.BYTES);
}

function scalar(type: ScalarType): string {
  return (ScalarType[type] ?? 'bytes').toLowerCase();
}
