// A central system on ocpp-rpc in strict mode: both directions validated, last-seen noted in memory.
//
//     node central_system.js PORT
"use strict";

const { RPCServer } = require("ocpp-rpc");

const port = Number(process.argv[2]);
const lastSeen = new Map();
const server = new RPCServer({ protocols: ["ocpp1.6"], strictMode: true });

server.on("client", (client) => {
  client.handle("BootNotification", () => {
    lastSeen.set(client.identity, Date.now());
    return { status: "Accepted", interval: 300, currentTime: new Date().toISOString() };
  });
  client.handle("Heartbeat", () => {
    lastSeen.set(client.identity, Date.now());
    return { currentTime: new Date().toISOString() };
  });
});

server.listen(port, "127.0.0.1");
