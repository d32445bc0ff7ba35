import { ChangeKind, type ResourceChange } from '../../../proto/gen/lamella/serving/v1/deploy_service_pb.ts';
import { nameOf } from '../plugin-table.ts';

const MARKS: Readonly<Record<ChangeKind, string>> = {
  [ChangeKind.UNSPECIFIED]: '?',
  [ChangeKind.NONE]: ' ',
  [ChangeKind.CREATE]: '+',
  [ChangeKind.UPDATE]: '~',
  [ChangeKind.DELETE]: '-',
};

/** Changes for people: a line each with a mark in front, then the fields, then the sum. */
export function changeLines(changes: readonly ResourceChange[]): string[] {
  const count = (kind: ChangeKind): number => changes.filter((change) => change.kind === kind).length;
  const lines = changes.flatMap(({ kind, resource, fields }) => [
    `${MARKS[kind]} ${resource}`,
    ...fields.map((field) => `    ${field}`),
  ]);
  const sum = `${count(ChangeKind.CREATE)} to create, ${count(ChangeKind.UPDATE)} to change, ${count(ChangeKind.DELETE)} to delete, ${count(ChangeKind.NONE)} as they shall be`;
  return [...lines, sum];
}

/** Changes for scripts. */
export function changeRows(changes: readonly ResourceChange[]): object[] {
  return changes.map(({ kind, resource, fields }) => ({
    resource,
    kind: nameOf(ChangeKind, kind, 'CHANGE_KIND_'),
    fields,
  }));
}
