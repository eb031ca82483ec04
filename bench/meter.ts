/** One run of one case. Rates are messages a second, times are as named. */
export interface Figures {
  readonly messages: number;
  readonly rate: number;
  readonly cpuMicrosPerMessage: number;
  readonly rssMb: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** Of one core, while nothing is to do. */
  readonly cpuPercent?: number;
  /** The longest `stop()`. */
  readonly stopMs?: number;
}

/** Measures from now until `stop`. */
export function meter(): { stop(messages: number): Figures } {
  const cpu = process.cpuUsage();
  const started = performance.now();
  return {
    stop(messages) {
      const seconds = (performance.now() - started) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      return {
        messages,
        rate: messages / seconds,
        cpuMicrosPerMessage: (user + system) / messages,
        rssMb: process.resourceUsage().maxRSS / 1024,
      };
    },
  };
}

/** Calls `work` for 0 to n-1, at most `outstanding` at one time. */
export async function pump(n: number, outstanding: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < n) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(n, outstanding) }, worker));
}

/** A promise that is resolved by the n-th call of `hit`. */
export function countdown(n: number): { readonly done: Promise<void>; hit(): void } {
  let left = n;
  let resolve: () => void = () => undefined;
  const done = new Promise<void>((settle) => {
    resolve = settle;
  });
  return {
    done,
    hit() {
      if (--left === 0) resolve();
    },
  };
}

/** Measures a stream of `hit`s from the end of the warm-up to the last. */
export function meterAfter(warmUp: number, messages: number): { readonly done: Promise<Figures>; hit(): void } {
  const warm = countdown(warmUp);
  const counted = countdown(warmUp + messages);
  const measured = warm.done.then(() => meter());
  return {
    done: counted.done.then(async () => (await measured).stop(messages)),
    hit() {
      warm.hit();
      counted.hit();
    },
  };
}

/** Sends `perSecond` messages a second for `seconds`; `send` is given nothing and is not waited for. */
export async function atRate(perSecond: number, seconds: number, send: () => void): Promise<number> {
  const started = performance.now();
  const total = perSecond * seconds;
  let sent = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, ((performance.now() - started) / 1000) * perSecond);
      for (; sent < due; sent++) send();
      if (sent < total) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  return total;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
