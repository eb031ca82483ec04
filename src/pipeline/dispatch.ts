import type { IncomingContext } from "../contracts/steps.js";
import type { Invoke } from "../endpoint/consumer-registry.js";
import { InvalidMessageError } from "../errors.js";
import { materialize } from "../messages/materialize.js";
import { ambientOrigin } from "../outgoing/ambient-origin.js";
import { compose } from "../util/compose.js";
import { DeadlineQueue } from "../util/deadline-queue.js";
import { formatDuration } from "../util/duration.js";
import { Abandoned, RunFailure } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage } from "./incoming-message.js";
import { Run } from "./run.js";

/** The last step: makes the message, and runs its consumer within the user's steps and the time limit. */
export class Dispatcher {
  readonly #endpoint: EndpointContext;
  readonly #deadlines: DeadlineQueue<Run>;
  readonly #running: Set<Run> = new Set();
  readonly #throughSteps: ((context: IncomingContext) => Promise<void>) | undefined;

  constructor(endpoint: EndpointContext) {
    this.#endpoint = endpoint;
    const { userSteps } = endpoint.bus;
    this.#deadlines = new DeadlineQueue(endpoint.settings.handlerTimeoutMs, (run) => this.#timeOut(run));
    if (userSteps.length > 0) this.#throughSteps = compose<IncomingContext>(userSteps, (context) => this.#invoke(context));
  }

  async dispatch(message: IncomingMessage): Promise<void> {
    const { envelope, delivery } = message;
    if (!envelope) return;
    const { name, consumers, bus, abandoned } = this.#endpoint;
    const consumer = consumers.find(envelope.messageType);
    if (!consumer) throw new RunFailure("no-consumer", `Endpoint "${name}" has no consumer for "${envelope.messageType}".`);
    // A store may have taken its time for the claim.
    if (abandoned.aborted) throw new Abandoned();
    const received = { message: this.#materialize(message), envelope, delivery };
    const run = new Run(received, name, message.attempt, bus.publisher, message.transaction, this.#lost);
    message.run = run;
    this.#running.add(run);
    this.#deadlines.add(run);
    await run.race(this.#start(run, consumer.invoke), this.#ended);
  }

  /** Ends every run: the process is about to leave. */
  abandon(): void {
    for (const run of [...this.#running]) this.#strand(run, new Abandoned("The deadline of stop() is reached."));
    this.#deadlines.clear();
  }

  /** Ends the run of a message whose claim was lost to another. */
  abandonRun(run: Run): void {
    this.#strand(run, new Abandoned("The claim on the message was lost: another run of it may have begun."));
  }

  #start(run: Run, invoke: Invoke): Promise<void> {
    const { ambientContext } = this.#endpoint.bus;
    try {
      const running = this.#throughSteps ?? invoke;
      return Promise.resolve(ambientContext ? ambientOrigin.run(run, running, run) : running(run));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #invoke(context: IncomingContext): Promise<void> | void {
    return this.#endpoint.consumers.find(context.messageType)?.invoke(context);
  }

  // A run after the first decodes anew: what the one before did to the message is not seen.
  #materialize(message: IncomingMessage): object {
    const { bus, consumers } = this.#endpoint;
    const { delivery, envelope, run } = message;
    const data = run ? bus.formats.decode(delivery.body, delivery.properties, delivery.headers).data : envelope?.data;
    const type = consumers.find(envelope?.messageType ?? "")?.messageClass;
    try {
      if (!type) throw new InvalidMessageError("There is no class for the message.", { cause: undefined, issues: [] });
      return materialize(type, data);
    } catch (error) {
      throw new RunFailure("invalid", "The message is not what its class takes.", error);
    }
  }

  readonly #ended = (run: Run): void => {
    this.#deadlines.delete(run);
    if (!this.#running.delete(run)) this.#endpoint.turns.strayEnded();
  };

  readonly #lost = (run: Run): void =>
    this.#strand(run, new Abandoned("The message was lost to another instance: the connection to the broker went while it was handled."));

  #timeOut(run: Run): void {
    const { name, settings, bus } = this.#endpoint;
    const text = `The consumer of ${run.messageType} at endpoint "${name}" took longer than ${formatDuration(settings.handlerTimeoutMs)} (handlerTimeout).`;
    this.#strand(run, new RunFailure("timed-out", text));
    bus.logger.warn(`${text} Its signal is aborted; until it ends it counts as a stray.`, {
      messageId: run.messageId,
      strays: this.#endpoint.turns.strays,
    });
  }

  #strand(run: Run, error: Error): void {
    if (!this.#running.delete(run)) return;
    this.#deadlines.delete(run);
    this.#endpoint.turns.strayBegan();
    run.abort(error);
  }
}
