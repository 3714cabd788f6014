'use strict';
// discord.js' own gateway connection (@discordjs/ws 2), with Node's zlib or zstd as its decoder.
const { WebSocketManager, WebSocketShardEvents, CompressionMethod } = require('discordjs-ws');
const { api, token, say, serve } = require('./bridge');

const headers = { authorization: `Bot ${token}`, 'content-type': 'application/json' };
const manager = new WebSocketManager({
  token,
  intents: 53608447,
  compression: CompressionMethod[process.env.THRONG_COMPRESSION],
  // All that it asks of its HTTP client is GET gateway/bot.
  rest: { get: async () => (await fetch(`${api}/v10/gateway/bot`, { headers })).json() },
});

let chunks = 0;
let members = [];
let awaited = 0;
const seen = {
  READY: ({ user, guilds }) => {
    awaited = guilds.length;
    say('ready', { id: user.id });
  },
  RESUMED: () => say('resumed'),
  GUILD_CREATE: ({ id }) => {
    if (awaited-- > 0) say('guild', { id });
  },
  MESSAGE_CREATE: ({ id, content, channel_id: channel, author }) => {
    say('message', { id, text: content, channel, author: author.id });
  },
  GUILD_MEMBERS_CHUNK: ({ members: some, chunk_index: index, chunk_count: count }) => {
    chunks++;
    members.push(...some.map(({ user }) => user.id));
    if (index + 1 === count) say('members', { ids: members, chunks });
  },
};
manager.on(WebSocketShardEvents.Dispatch, (payload) => {
  const { t, d } = payload.data ?? payload;
  seen[t]?.(d);
});
manager.on(WebSocketShardEvents.Error, (err) => console.error('error', err));
manager.on(WebSocketShardEvents.Debug, (text) => console.error(text));

serve({
  async members({ guild }) {
    members = [];
    const d = { guild_id: guild, query: '', limit: 0 };
    await manager.send(0, { op: 8, d });
  },
  async post({ channel, content }) {
    const body = JSON.stringify({ content });
    const url = `${api}/v10/channels/${channel}/messages`;
    const answer = await fetch(url, { method: 'POST', headers, body });
    const message = await answer.json();
    say('posted', { id: message.id, text: message.content });
  },
}, () => manager.destroy());

manager.connect();
