#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace unfreeze {

/// A program's flags. Each add() names a flag, the variable that it sets and, by the variable's
/// present value, its default. CLI11 does the work, behind this small face that keeps its large
/// header out of every other file.
class CommandLine {
public:
    explicit CommandLine(const std::string& what_the_program_is);
    ~CommandLine();

    void add(const std::string& flag, std::string& value, const std::string& help);
    void add(const std::string& flag, bool& value, const std::string& help);

    /// A flag that may be given several times, with one value each time.
    void add(const std::string& flag, std::vector<std::string>& values, const std::string& help);

    void add(const std::string& flag, std::uint16_t& value, const std::string& help);
    void add(const std::string& flag, std::size_t& value, std::size_t min, std::size_t max,
             const std::string& help);
    void add(const std::string& flag, std::chrono::milliseconds& value,
             std::chrono::milliseconds min, std::chrono::milliseconds max, const std::string& help);
    void add(const std::string& flag, std::chrono::milliseconds& value, const std::string& help);
    void add_power_of_two(const std::string& flag, std::size_t& value, std::size_t max,
                          const std::string& help);

    /// Sets the variables. Exits with 0 after --help, and with 2 and a sentence after a wrong flag.
    void parse(int argc, char** argv);

private:
    std::unique_ptr<CLI::App> app_;
};

}  // namespace unfreeze
