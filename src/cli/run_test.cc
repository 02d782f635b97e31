#include "cli/run.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/help.h"
#include "cli/verbs.h"

namespace hamster::cli {
namespace {

const char* no_environment(const char*) { return nullptr; }

struct Outcome {
    int code;
    std::string out;
    std::string err;
};

Outcome type(const std::vector<std::string>& words) {
    std::ostringstream out;
    std::ostringstream err;
    Console console{out, err, no_environment};
    const int code = run(words, console);
    return {code, out.str(), err.str()};
}

TEST(Run, HelpNamesEveryVerbAndEveryFlag) {
    const Outcome overview = type({"help"});
    EXPECT_EQ(overview.code, kExitOk);
    for (const Verb& verb : verbs()) {
        EXPECT_NE(overview.out.find(std::string(verb.path)), std::string::npos);
        for (const std::vector<std::string>& how :
             {std::vector<std::string>{"help"}, std::vector<std::string>{"--help"}}) {
            std::vector<std::string> words;
            std::istringstream path{std::string(verb.path)};
            for (std::string word; path >> word;) words.push_back(word);
            words.insert(how[0] == "help" ? words.begin() : words.end(), how[0]);
            const Outcome help = type(words);
            EXPECT_EQ(help.code, kExitOk) << verb.path;
            for (const Flag& flag : verb.flags) {
                EXPECT_NE(help.out.find("-" + std::string(flag.name)), std::string::npos)
                    << verb.path;
            }
        }
    }
    EXPECT_NE(type({"help", "user"}).out.find("hamster user delete NAME"), std::string::npos);
}

TEST(Run, MistakesExitWithTwoAndSayWhatToDo) {
    EXPECT_EQ(type({}).code, kExitUsage);
    const Outcome typo = type({"serv"});
    EXPECT_EQ(typo.code, kExitUsage);
    EXPECT_NE(typo.err.find("did you mean serve?"), std::string::npos);
    EXPECT_EQ(type({"serve"}).code, kExitUsage);
    EXPECT_EQ(type({"serve", "-data-dir", "d", "-wrong"}).code, kExitUsage);
    const Outcome unset = type({"serve", "-data-dir", "d"});
    EXPECT_EQ(unset.code, kExitUsage);
    EXPECT_NE(unset.err.find("HAMSTER_ACCESS_KEY_ID"), std::string::npos);
    EXPECT_EQ(type({"completion", "tcsh"}).code, kExitUsage);
    const Outcome forced = type({"remove", "n3", "-data-dir", "d", "-force"});
    EXPECT_EQ(forced.code, kExitUsage);
    EXPECT_NE(forced.err.find("-force goes with -lost"), std::string::npos);
}

TEST(Run, CompletionCoversEveryVerb) {
    for (const char* shell : {"bash", "zsh", "fish"}) {
        const Outcome script = type({"completion", shell});
        EXPECT_EQ(script.code, kExitOk);
        for (const Verb& verb : verbs()) {
            const std::string first(verb.path.substr(0, verb.path.find(' ')));
            EXPECT_NE(script.out.find(first), std::string::npos) << shell;
        }
    }
}

TEST(Run, VersionIsPrinted) {
    EXPECT_TRUE(type({"version"}).out.starts_with("hamster "));
    EXPECT_TRUE(type({"--version"}).out.starts_with("hamster "));
    EXPECT_TRUE(type({"version", "--json"}).out.starts_with("{\"version\":\""));
}

}  // namespace
}  // namespace hamster::cli
