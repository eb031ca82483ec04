export type { SharedAccessKey } from "./authorization/shared-key-authorizer.js";
export { DEVELOPMENT_KEY } from "./authorization/shared-key-authorizer.js";
export { BrokerError } from "./broker/broker-error.js";
export type { QueueDescription, SubscriptionDescription, Tier, TopicDescription } from "./broker/descriptions.js";
export { ConfigError } from "./config/config-problems.js";
export { type Emulator, startEmulator } from "./emulator.js";
export type { EmulatorOptions } from "./emulator-options.js";
