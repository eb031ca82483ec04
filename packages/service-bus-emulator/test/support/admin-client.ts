import { ServiceBusAdministrationClient } from "@azure/service-bus";

/** Microsoft's administration client. It knows https alone: its requests are sent in plain text here. */
export function adminClient(connectionString: string): ServiceBusAdministrationClient {
  const client = new ServiceBusAdministrationClient(connectionString, { retryOptions: { maxRetries: 0 } });
  const { pipeline } = client as unknown as { readonly pipeline: Pipeline };
  pipeline.addPolicy({
    name: "plain-text",
    sendRequest(request, next) {
      request.url = request.url.replace(/^https:/, "http:");
      request.allowInsecureConnection = true;
      return next(request);
    },
  });
  return client;
}

interface PipelineRequest {
  url: string;
  allowInsecureConnection: boolean;
}

interface Pipeline {
  addPolicy(policy: { name: string; sendRequest(request: PipelineRequest, next: (request: PipelineRequest) => unknown): unknown }): void;
}
