import type { IncomingContext } from "../contracts/steps.js";
import type { Invoke } from "../endpoint/consumer-registry.js";
import { InvalidMessageError } from "../errors.js";
import { materialize } from "../messages/materialize.js";
import { ambientOrigin } from "../outgoing/ambient-origin.js";
import { compose } from "../util/compose.js";
import { DeadlineQueue } from "../util/deadline-queue.js";
import { formatDuration } from "../util/duration.js";
import { Abandoned, RunAgain, RunFailure } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage } from "./incoming-message.js";
import { Run } from "./run.js";

/** The last step: makes the message, and runs its consumer within the user's steps and the time limit. */
export class Dispatcher {
  readonly #endpoint: EndpointContext;
  /** The runs under way; one that has ended, or was ended from outside, is taken out. */
  readonly #running: DeadlineQueue<Run>;
  readonly #throughSteps: ((context: IncomingContext) => Promise<void>) | undefined;

  constructor(endpoint: EndpointContext) {
    this.#endpoint = endpoint;
    const { userSteps } = endpoint.bus;
    this.#running = new DeadlineQueue(endpoint.settings.handlerTimeoutMs, (run) => this.#timeOut(run));
    if (userSteps.length > 0) this.#throughSteps = compose<IncomingContext>(userSteps, (context) => this.#invoke(context));
  }

  /** Runs the consumer; `undefined` when it has ended within the call. @throws what the run ended with */
  dispatch(message: IncomingMessage): Promise<void> | undefined {
    const { envelope, delivery } = message;
    if (!envelope) return undefined;
    const { name, consumers, bus, abandoned } = this.#endpoint;
    const consumer = consumers.find(envelope.messageType);
    if (!consumer) throw new RunFailure("no-consumer", `Endpoint "${name}" has no consumer for "${envelope.messageType}".`);
    // A store may have taken its time for the claim.
    if (abandoned.aborted) throw new Abandoned();
    const received = { message: this.#materialize(message), envelope, delivery };
    const run = new Run(received, name, message.attempt, bus.publisher, message.transaction, this.#lost);
    message.run = run;
    this.#running.add(run);
    const handling = this.#start(run, consumer.invoke);
    if (handling) return run.race(handling, this.#ended);
    this.#ended(run);
    run.end();
    return undefined;
  }

  /** Ends every run: the process is about to leave. */
  abandon(): void {
    for (const run of this.#running.clear()) this.#strand(run, new Abandoned("The deadline of stop() is reached."));
  }

  /** Ends the run of a message whose claim was lost to another; the next claim tells whether that one is done. */
  abandonRun(run: Run): void {
    this.#strandIfRunning(run, new RunAgain("The claim on the message was lost: another run of it may have begun."));
  }

  #start(run: Run, invoke: Invoke): Promise<void> | undefined {
    const { ambientContext } = this.#endpoint.bus;
    try {
      const running = this.#throughSteps ?? invoke;
      const handling = ambientContext ? ambientOrigin.run(run, running, run) : running(run);
      return handling === undefined ? undefined : Promise.resolve(handling);
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
    if (!this.#running.delete(run)) this.#endpoint.turns.strayEnded();
  };

  readonly #lost = (run: Run): void =>
    this.#strandIfRunning(
      run,
      new Abandoned("The message was lost to another instance: the connection to the broker went while it was handled."),
    );

  #timeOut(run: Run): void {
    const { name, settings, bus } = this.#endpoint;
    const text = `The consumer of ${run.messageType} at endpoint "${name}" took longer than ${formatDuration(settings.handlerTimeoutMs)} (handlerTimeout).`;
    this.#strand(run, new RunFailure("timed-out", text));
    const { strays, stalled } = this.#endpoint.turns;
    bus.logger.warn(`${text} Its signal is aborted; until it ends it counts as a stray.`, { messageId: run.messageId, strays });
    if (stalled)
      bus.logger.error(
        `Endpoint "${name}" takes nothing more: ${strays} handlers ignored their time-out and still run. If none of them ends, only a restart helps.`,
      );
  }

  #strandIfRunning(run: Run, error: Error): void {
    if (this.#running.delete(run)) this.#strand(run, error);
  }

  /** Ends a run that was taken out of those under way; its handler may still be at work. */
  #strand(run: Run, error: Error): void {
    this.#endpoint.turns.strayBegan();
    run.abort(error);
  }
}
