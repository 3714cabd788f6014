'use strict';
// The bot of every tutorial: it answers !ping with pong.
const { Client, Events, GatewayIntentBits } = require('discord.js');
const { api, token, say, serve } = require('./bridge');

const { Guilds, GuildMessages, MessageContent } = GatewayIntentBits;
const client = new Client({ intents: [Guilds, GuildMessages, MessageContent], rest: { api } });

client.on(Events.ClientReady, () => say('ready', { id: client.user.id }));
client.on(Events.MessageCreate, async (message) => {
  if (message.content === '!ping') await message.reply('pong');
});

serve({}, () => client.destroy());
client.login(token);
