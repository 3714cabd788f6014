'use strict';
const { Client } = require('oceanic.js');
const { api, token, say, serve } = require('./bridge');

const client = new Client({
  auth: `Bot ${token}`,
  gateway: { intents: ['ALL'] },
  rest: { baseURL: `${api}/v10` },
});

let chunks = 0;
let identified = false; // oceanic says shardReady after a resume as well
client.on('shardPreReady', () => {
  identified = true;
});
client.on('shardReady', () => {
  if (!identified) return;
  identified = false;
  say('ready', { id: client.user.id });
  for (const id of client.guilds.keys()) say('guild', { id });
});
client.on('messageCreate', ({ id, content, channelID, author }) => {
  say('message', { id, text: content, channel: channelID, author: author.id });
});
client.on('packet', ({ t }) => {
  if (t === 'GUILD_MEMBERS_CHUNK') chunks++;
});
client.on('shardResume', () => say('resumed'));
client.on('error', (err) => console.error('error', err));
client.on('debug', (text) => console.error(text));
client.on('warn', (text) => console.error('warn', text));

serve({
  async members({ guild }) {
    const members = await client.guilds.get(guild).fetchMembers({ limit: 0 });
    say('members', { ids: members.map(({ id }) => id), chunks });
  },
  async post({ channel, content }) {
    const message = await client.rest.channels.createMessage(channel, { content });
    say('posted', { id: message.id, text: message.content });
  },
}, () => client.disconnect(false));

client.connect();
