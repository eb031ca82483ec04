import type { FaultKind } from "./kinds/fault-kind.js";
import { networkFaults } from "./kinds/network-faults.js";
import { poisonFaults, serviceFaults } from "./kinds/service-faults.js";
import type { BrokerUnderTest } from "./transports/transport.js";

/** Which faults a run draws from. @throws Error for a name that is not known. */
export function mixNamed(name: string, broker: BrokerUnderTest): readonly FaultKind[] {
  const all = [...broker.kinds, ...networkFaults, ...serviceFaults];
  if (name === "all") return all;
  if (name === "poison") return poisonFaults;
  const group = all.filter((kind) => kind.group === name);
  if (group.length === 0) throw new Error(`there is no mix "${name}"; there are all, broker, network, service, poison`);
  return group;
}
