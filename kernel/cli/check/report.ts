/** How one point of the contract was kept. */
export interface Point {
  readonly id: string;
  /** What the contract asks for. */
  readonly title: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** What was seen, or why it was not looked at. */
  readonly reason: string;
  /** What to do; empty unless it failed. */
  readonly repair: string;
  readonly milliseconds: number;
}

/** Something the contract asks for is not so. */
export class ContractBroken extends Error {
  readonly repair: string;

  constructor(reason: string, repair: string) {
    super(reason);
    this.repair = repair;
  }
}

/** A point that says nothing about this plugin. */
export class NotApplicable extends Error {}

/** What a point is called. */
export interface PointName {
  readonly id: string;
  readonly title: string;
}

/** Collects points as they are checked. */
export class Report {
  readonly #points: Point[] = [];
  readonly #tell: (point: Point) => void;

  /** @param tell - Called with each point as soon as it is known. */
  constructor(tell: (point: Point) => void) {
    this.#tell = tell;
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  get isKept(): boolean {
    return this.#points.every(({ outcome }) => outcome !== 'failed');
  }

  /**
   * Checks one point.
   *
   * @param look - Returns what was seen; throws {@link ContractBroken} or {@link NotApplicable}.
   * @returns whether the point does not stand in the way of the next ones.
   */
  async check(name: PointName, look: () => Promise<string>): Promise<boolean> {
    const started = performance.now();
    const finding = await look().then(
      (reason) => ({ outcome: 'passed' as const, reason, repair: '' }),
      (error: unknown) => findingOf(error),
    );
    const point: Point = { ...name, ...finding, milliseconds: Math.round(performance.now() - started) };
    this.#points.push(point);
    this.#tell(point);
    return point.outcome !== 'failed';
  }
}

function findingOf(error: unknown): Pick<Point, 'outcome' | 'reason' | 'repair'> {
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof NotApplicable) return { outcome: 'skipped', reason, repair: '' };
  // Errors of the kernel say in their own message what to do.
  return { outcome: 'failed', reason, repair: error instanceof ContractBroken ? error.repair : '' };
}
