import { createRequire } from "node:module";

/** What is asked of the client's own dependency. */
interface CoreTracing {
  createTracingClient(options: { readonly namespace: string; readonly packageName: string }): {
    /** `undefined` where nobody instruments the client: what is there by default reads nothing. */
    parseTraceparentHeader(header: string): unknown;
  };
}

/** The example of https://www.w3.org/TR/trace-context/#traceparent-header: whoever traces can read it. */
const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** Whether somebody traces what the client does, as far as can be known: where it cannot, as in a bundle, it is taken for traced. */
export function isClientTraced(): boolean {
  try {
    const { createTracingClient } = createRequire(import.meta.resolve("@azure/service-bus"))("@azure/core-tracing") as CoreTracing;
    return createTracingClient({ namespace: "trolleybus", packageName: "trolleybus" }).parseTraceparentHeader(TRACEPARENT) !== undefined;
  } catch {
    return true;
  }
}
