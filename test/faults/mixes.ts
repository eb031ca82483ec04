import type { FaultKind } from "./kinds/fault-kind.js";
import { networkFaults } from "./kinds/network-faults.js";
import { poisonFaults, serviceFaults, USUAL_POISON_PATIENCE } from "./kinds/service-faults.js";
import type { BrokerUnderTest } from "./transports/transport.js";

/** Which faults a run draws from. @throws Error for a name that is not known. */
export function mixNamed(name: string, broker: BrokerUnderTest): readonly FaultKind[] {
  const { poisonPatience = USUAL_POISON_PATIENCE } = broker;
  const all = [...broker.kinds, ...networkFaults, ...serviceFaults(poisonPatience)];
  const own = broker.mixes?.[name];
  if (own) return own;
  if (name === "all") return all;
  if (name === "poison") return poisonFaults(poisonPatience);
  const group = all.filter((kind) => kind.group === name);
  if (group.length === 0)
    throw new Error(
      `there is no mix "${name}"; there are ${["all", "broker", "network", "service", "poison", ...Object.keys(broker.mixes ?? {})].join(", ")}`,
    );
  return group;
}
