import type { Bus, IncomingStep, Logger } from "trolleybus";
import type { HttpServer } from "../http/serve.js";
import type { Settings } from "../settings.js";

/** One line of the account: what happened (`subject`: a message or a request) to which order, and what came of it. */
export interface Line {
  readonly subject: string;
  readonly orderId: string;
  readonly text: string;
  readonly mood?: "good" | "bad";
}

/** How a service says what it does. A real service would have its logger here. */
export interface Reporter {
  readonly tell: (line: Line) => void;
  readonly logger: Logger;
}

export interface Service {
  /** Its own HTTP server, on a port that the operating system chose. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

export type StartService = (settings: Settings, reporter: Reporter) => Promise<Service>;

/** Stops in this order: no new requests, then the bus lets its handlers finish. */
export function serviceOf(server: HttpServer, bus: Bus): Service {
  const stop = async (): Promise<void> => {
    await server.close();
    await bus.stop();
  };
  return { url: server.url, stop };
}

/** A step around every consumer: tells of each run that failed, and leaves what becomes of it to the bus. */
export function tellFailures({ tell }: Reporter): IncomingStep {
  return async ({ message, attempt }, next) => {
    try {
      await next();
    } catch (error) {
      const orderId = "orderId" in message ? String(message.orderId) : "";
      tell({ subject: message.constructor.name, orderId, text: `attempt ${attempt} failed: ${reasonOf(error)}`, mood: "bad" });
      throw error;
    }
  };
}

/** The name of an error is worth telling when it says more than "Error". */
const reasonOf = (error: unknown): string => (error instanceof Error && error.name === "Error" ? error.message : String(error));
