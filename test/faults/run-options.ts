import { parseArgs } from "node:util";

export interface RunOptions {
  readonly transport: string;
  readonly broker: string | undefined;
  readonly store: string;
  readonly client: string;
  readonly control: string | undefined;
  readonly mix: string;
  readonly only: string | undefined;
  readonly seed: number;
  readonly faults: number;
  readonly publishers: number;
  readonly consumers: number;
  readonly rate: number;
  readonly json: string | undefined;
  readonly keep: boolean;
  readonly plain: boolean;
}

/** Of some mixes: one instance, so that what the poison kills is what the innocent messages are in; many, to come and go. */
const CONSUMERS: Readonly<Record<string, number>> = { poison: 1, churn: 20 };

export const USAGE = `npm run faults -- [options]

  --transport NAME   what is under test: rabbitmq, kafka, azure-service-bus             (rabbitmq)
  --broker NAME      which server of it: rabbitmq, rabbitmq-4, rabbitmq-cluster;
                     kafka, kafka-3, kafka-cluster; emulator                            (the transport's first)
  --store NAME       where handled ids are remembered: memory                           (memory)
  --client NAME      trolleybus, or what it is compared with: raw-amqplib, rascal, amqp-connection-manager
  --seed NUMBER      decides what is broken, when and for how long                      (of the clock; printed)
  --faults NUMBER    how many                                                           (20)
  --mix NAME         all, broker, network, service, poison; Kafka: churn (see docs/faults.md)  (all)
  --only TEXT        only faults whose name contains it
  --control NAME     make a mistake on purpose; the run must fail (see docs/faults.md)
  --publishers N, --consumers N, --rate MESSAGES_PER_SECOND of each publisher   (2, 3, 40)
  --plain            only tasks that succeed, to one endpoint: what other libraries and the controls are given always
  --json FILE        the figures, for a program
  --keep             keep the ledgers and logs of a good run too (those of a bad one are always kept)

Exit code 0 when everything holds, 1 when something does not, 2 for a wrong command line, 3 when the broker cannot be had, 4 when a control
fails on something else than its mistake.
`;

/** @throws Error with what is wrong about the command line. */
export function parseRunOptions(args: readonly string[]): RunOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      transport: { type: "string", default: "rabbitmq" },
      broker: { type: "string" },
      store: { type: "string", default: "memory" },
      client: { type: "string", default: "trolleybus" },
      control: { type: "string" },
      mix: { type: "string" },
      only: { type: "string" },
      seed: { type: "string" },
      faults: { type: "string" },
      publishers: { type: "string", default: "2" },
      consumers: { type: "string" },
      rate: { type: "string" },
      json: { type: "string" },
      keep: { type: "boolean", default: false },
      plain: { type: "boolean", default: false },
    },
  });
  return {
    transport: values.transport,
    broker: values.broker,
    store: values.store,
    client: values.client,
    control: values.control,
    mix: values.mix ?? "all",
    only: values.only,
    seed: number("seed", values.seed ?? String(Date.now() % 1_000_000), 0),
    faults: number("faults", values.faults ?? (values.mix === "churn" ? "1" : "20"), 0),
    publishers: number("publishers", values.publishers, 1),
    consumers: number("consumers", values.consumers ?? String(CONSUMERS[values.mix ?? ""] ?? 3), 1),
    rate: number("rate", values.rate ?? (values.control === undefined ? "40" : "150"), 1),
    json: values.json,
    keep: values.keep,
    plain: values.plain,
  };
}

function number(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) throw new Error(`--${option} must be a whole number of at least ${least}, not "${text}"`);
  return value;
}
