// A plugin for the agent. The embedded model was trained on short prompts, so the agent's
// description of its machine stays away.
export const ShortPrompt = async () => ({
  "experimental.chat.system.transform": async (_input, output) => {
    output.system.splice(0, output.system.length, "You are helpful.");
  },
});
