'use strict';
// A gateway connection with Node's own zstd decoder, which is libzstd, or with fzstd, which is what a
// browser has: one decoder for the life of the connection. It resumes, as discord.js does, whose
// releases have no zstd yet.
const zlib = require('node:zlib');
const { Decompress } = require('fzstd');
const { api, token, say, serve } = require('./bridge');

let socket;
let beat;
let session;
let seq = null;
let leaving = false;
const identify = { op: 2, d: { token, intents: 53608447, properties: {} } };

const act = ({ op, t, d, s }) => {
  if (op === 10) {
    const resume = { op: 6, d: { token, session_id: session, seq } };
    socket.send(JSON.stringify(session ? resume : identify));
    clearInterval(beat);
    beat = setInterval(() => socket.send(`{"op":1,"d":${seq}}`), d.heartbeat_interval);
  }
  if (op === 9) say('failed', { text: 'the session is gone' });
  if (op === 0) seq = s;
  if (t === 'READY') {
    session = d.session_id;
    say('ready', { id: d.user.id });
  }
  if (t === 'RESUMED') say('resumed');
  if (t === 'GUILD_CREATE') say('guild', { id: d.id });
  if (t === 'MESSAGE_CREATE') {
    say('message', { id: d.id, text: d.content, channel: d.channel_id, author: d.author.id });
  }
};

const connect = async () => {
  const headers = { authorization: `Bot ${token}` };
  const { url } = await (await fetch(`${api}/v10/gateway/bot`, { headers })).json();
  let text = '';
  const take = (piece) => {
    text += piece;
    let payload;
    try {
      payload = JSON.parse(text);
    } catch {
      return; // The rest of the message is still to come.
    }
    text = '';
    act(payload);
  };
  let write;
  if (process.env.THRONG_DECODER === 'fzstd') {
    const utf8 = new TextDecoder();
    const decoder = new Decompress((piece) => take(utf8.decode(piece, { stream: true })));
    write = (data) => decoder.push(new Uint8Array(data));
  } else {
    const decoder = zlib.createZstdDecompress();
    decoder.setEncoding('utf8');
    decoder.on('data', take);
    decoder.on('error', (err) => say('failed', { text: `zstd: ${err}` }));
    decoder.on('end', () => say('failed', { text: 'zstd: the frame ended' }));
    write = (data) => decoder.write(Buffer.from(data));
  }
  socket = new WebSocket(`${url}?v=10&encoding=json&compress=zstd-stream`);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => write(data);
  socket.onclose = ({ code, reason }) => {
    console.error('closed', code, reason);
    if (!leaving) setTimeout(connect, 100);
  };
};

serve({}, () => {
  leaving = true;
  clearInterval(beat);
  socket.close(1000);
});

connect();
