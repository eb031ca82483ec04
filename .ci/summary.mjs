// Prints "N passed, N failed, N skipped" over all test reports of a run, as its last line, and fails when something failed.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("usage: node .ci/summary.mjs FOLDER");

const failedCommands = existsSync(join(folder, "failed-commands"))
  ? readFileSync(join(folder, "failed-commands"), "utf8").trim().split("\n")
  : [];
const reports = readdirSync(folder).filter((name) => name.endsWith(".json"));
const total = { passed: 0, failed: 0, skipped: 0 };
/** Tests that were skipped since their broker is missing. @type {string[]} */
const withoutBroker = [];
/** Tests that passed at their second try, each with the first line of what the first said. @type {string[]} */
const secondTries = [];
/** Failed tests, each with the first line of what it said. @type {string[]} */
const failedTests = [];

for (const name of reports) {
  const report = JSON.parse(readFileSync(join(folder, name), "utf8"));
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  total.skipped += report.numPendingTests + report.numTodoTests;
  for (const { assertionResults } of report.testResults) {
    for (const { fullName, status, failureMessages } of assertionResults) {
      const said = `${fullName}: ${failureMessages?.[0]?.split("\n")[0] ?? "no message"}`;
      if (status === "failed") failedTests.push(said);
      if (status === "passed" && failureMessages?.length > 0) secondTries.push(said);
      if (status !== "passed" && status !== "failed" && fullName.includes("needs a broker: ")) withoutBroker.push(fullName);
    }
  }
}
// A command that failed without a failed test (the linter, a crash, the example) must not hide behind a green count.
if (failedCommands.length > 0 && total.failed === 0) total.failed = failedCommands.length;

console.log();
for (const test of secondTries) console.log(`passed at the second try only: ${test}`);
for (const test of failedTests) console.log(`failed: ${test}`);
for (const command of failedCommands) console.log(`failed: ${command}`);
if (withoutBroker.length > 0) console.log(`${withoutBroker.length} tests had no broker, the first: ${withoutBroker[0]}`);
if (reports.length === 0) console.log("no test ran");
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 || withoutBroker.length > 0 || reports.length === 0 ? 1 : 0;
