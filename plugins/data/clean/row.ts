/** A row of a query result, by column name. */
export type Row = Readonly<Record<string, unknown>>;
