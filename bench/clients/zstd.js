'use strict';
// A gateway connection with Node's own zstd decoder, which is libzstd: one decoder for the life of
// the connection, as discord.js has it.
const zlib = require('node:zlib');
const { api, token, say, serve } = require('./bridge');

let socket;
let beat;
const identify = { op: 2, d: { token, intents: 53608447, properties: {} } };

const act = ({ op, t, d }) => {
  if (op === 10) {
    socket.send(JSON.stringify(identify));
    beat = setInterval(() => socket.send('{"op":1,"d":null}'), d.heartbeat_interval);
  }
  if (t === 'READY') say('ready', { id: d.user.id });
  if (t === 'GUILD_CREATE') say('guild', { id: d.id });
  if (t === 'MESSAGE_CREATE') {
    say('message', { id: d.id, text: d.content, channel: d.channel_id, author: d.author.id });
  }
};

const connect = async () => {
  const headers = { authorization: `Bot ${token}` };
  const { url } = await (await fetch(`${api}/v10/gateway/bot`, { headers })).json();
  const decoder = zlib.createZstdDecompress();
  let text = '';
  decoder.setEncoding('utf8');
  decoder.on('data', (piece) => {
    text += piece;
    let payload;
    try {
      payload = JSON.parse(text);
    } catch {
      return; // The rest of the message is still to come.
    }
    text = '';
    act(payload);
  });
  decoder.on('error', (err) => say('failed', { text: `zstd: ${err}` }));
  decoder.on('end', () => say('failed', { text: 'zstd: the frame ended' }));
  socket = new WebSocket(`${url}?v=10&encoding=json&compress=zstd-stream`);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => decoder.write(Buffer.from(data));
  socket.onclose = ({ code, reason }) => console.error('closed', code, reason);
};

serve({}, () => {
  clearInterval(beat);
  socket.close(1000);
});

connect();
