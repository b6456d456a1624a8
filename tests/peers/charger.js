// A charge point on ocpp-rpc in strict mode: both directions are validated against the 1.6 schemas.
//
//     node charger.js ws://host:port/ocpp IDENTITY
//
// Prints one JSON object a line about how far it is ("ready", "charging", "stopped"), "fault" for anything
// that should not be, and ends by itself once its session was stopped from afar.
"use strict";

const { RPCClient, createRPCError } = require("ocpp-rpc");

const [endpoint, identity] = process.argv.slice(2);
const METER_START = 1000;
const METER_STOP = 8250;

const tell = (event, detail = {}) => process.stdout.write(JSON.stringify({ event, ...detail }) + "\n");
const now = () => new Date().toISOString();

const fail = (error) => {
  tell("fault", { message: String(error && error.message), details: error && error.details });
  process.exitCode = 1;
  setTimeout(() => process.exit(1), 100);
};

const charger = new RPCClient({ endpoint, identity, protocols: ["ocpp1.6"], strictMode: true, reconnect: false });
const report = (connectorId, status) =>
  charger.call("StatusNotification", { connectorId, status, errorCode: "NoError", timestamp: now() });

let transactionId;

charger.on("strictValidationFailure", ({ error }) => fail(error));

charger.handle("RemoteStartTransaction", ({ params }) => {
  setImmediate(() => charge(params.connectorId || 1, params.idTag).catch(fail));
  return { status: "Accepted" };
});
charger.handle("RemoteStopTransaction", ({ params }) => {
  if (params.transactionId !== transactionId) {
    return { status: "Rejected" };
  }
  setImmediate(() => stop().catch(fail));
  return { status: "Accepted" };
});
charger.handle("ChangeConfiguration", () => ({ status: "NotSupported" }));
charger.handle("GetConfiguration", ({ params }) => ({ configurationKey: [], unknownKey: params.key || [] }));
charger.handle("TriggerMessage", () => ({ status: "NotImplemented" }));
charger.handle(({ method }) => {
  throw createRPCError("NotSupported", method);
});

async function charge(connectorId, idTag) {
  const { idTagInfo } = await charger.call("Authorize", { idTag });
  if (idTagInfo.status !== "Accepted") {
    throw new Error(`the tag is ${idTagInfo.status}`);
  }
  await report(connectorId, "Preparing");
  const started = await charger.call("StartTransaction", { connectorId, idTag, meterStart: METER_START, timestamp: now() });
  transactionId = started.transactionId;
  await report(connectorId, "Charging");
  const sample = (value, measurand, unit) => ({ value: String(value), measurand, unit, context: "Sample.Periodic" });
  await charger.call("MeterValues", {
    connectorId,
    transactionId,
    meterValue: [
      {
        timestamp: now(),
        sampledValue: [
          sample(4100, "Energy.Active.Import.Register", "Wh"),
          sample("11.04", "Power.Active.Import", "kW"),
          { value: "16.1", measurand: "Current.Import", unit: "A", phase: "L1" },
        ],
      },
    ],
  });
  tell("charging", { transactionId, status: started.idTagInfo.status });
}

async function stop() {
  await charger.call("StopTransaction", { transactionId, meterStop: METER_STOP, timestamp: now(), reason: "Remote" });
  await report(1, "Finishing");
  await report(1, "Available");
  tell("stopped");
  await charger.close();
}

async function main() {
  await charger.connect();
  const boot = await charger.call("BootNotification", {
    chargePointVendor: "Peer",
    chargePointModel: "ocpp-rpc",
    firmwareVersion: "2.2.1",
  });
  for (const connectorId of [0, 1]) {
    await report(connectorId, "Available");
  }
  const { currentTime } = await charger.call("Heartbeat", {});
  tell("ready", { status: boot.status, interval: boot.interval, protocol: charger.protocol, currentTime });
}

setTimeout(() => fail(new Error("not done within a minute")), 60000).unref();
main().catch(fail);
