// SPDX-License-Identifier: Apache-2.0
#include "hccs/file.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "../formats/temporary_folder.h"

#if defined(__SANITIZE_ADDRESS__)  // GCC
#define HCCS_TEST_WITH_ASAN
#elif defined(__has_feature)  // Clang
#if __has_feature(address_sanitizer)
#define HCCS_TEST_WITH_ASAN
#endif
#endif

namespace hccs {
namespace {

namespace fs = test::fs;
using test::fails;

class FileTest : public test::WithFolder {
 protected:
  static mode_t mode_of(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 07777;
  }
  using Names = std::vector<std::string>;
};

TEST_F(FileTest, WritesThePartsInOrder) {
  const fs::path path = folder() / "a.txt";
  ASSERT_TRUE(write_file_atomically(path, {"one ", "", std::string_view("t\0o", 3), " three"}).ok());
  EXPECT_EQ(get(path), std::string("one t\0o three", 13));
  EXPECT_EQ(*read_file(path), get(path));
  EXPECT_EQ(names(), Names{"a.txt"});
}

TEST_F(FileTest, WritesAnEmptyFile) {
  const fs::path path = put("a.txt", "old");
  ASSERT_TRUE(write_file_atomically(path, {}).ok());
  EXPECT_EQ(get(path), "");
  EXPECT_EQ(*read_file(path), "");
}

TEST_F(FileTest, WritesMoreThanAPipeOrAPageHolds) {
  const std::string big(5'000'011, 'x');
  const fs::path path = folder() / "big";
  ASSERT_TRUE(write_file_atomically(path, {big, "y"}).ok());
  EXPECT_EQ(*read_file(path), big + "y");
}

TEST_F(FileTest, ANewFileObeysTheUmask) {
  const mode_t before = ::umask(027);
  const Status status = write_file_atomically(folder() / "a", {"x"});
  ::umask(before);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(mode_of(folder() / "a"), 0640);
}

TEST_F(FileTest, AReplacedFileKeepsItsMode) {
  const fs::path path = put("a", "old");
  ASSERT_EQ(::chmod(path.c_str(), 0604), 0);
  ASSERT_TRUE(write_file_atomically(path, {"new"}).ok());
  EXPECT_EQ(mode_of(path), 0604);
  EXPECT_EQ(get(path), "new");
}

TEST_F(FileTest, AReaderOfTheOldFileKeepsItWhole) {
  const fs::path path = put("a", "old");
  std::ifstream reader(path);
  ASSERT_TRUE(write_file_atomically(path, {"new content"}).ok());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(reader), {}), "old");
}

TEST_F(FileTest, ReplacesWhatALinkPointsTo) {
  put("real/a", "old");
  fs::create_symlink("real/a", folder() / "link");
  fs::create_symlink("link", folder() / "link2");
  ASSERT_TRUE(write_file_atomically(folder() / "link2", {"new"}).ok());
  EXPECT_TRUE(fs::is_symlink(folder() / "link"));
  EXPECT_TRUE(fs::is_symlink(folder() / "link2"));
  EXPECT_EQ(get(folder() / "real/a"), "new");
  EXPECT_EQ(names(), (Names{"link", "link2", "real"}));
}

TEST_F(FileTest, FollowsALinkToAFileThatDoesNotExistYet) {
  fs::create_symlink(folder() / "later", folder() / "link");
  ASSERT_TRUE(write_file_atomically(folder() / "link", {"new"}).ok());
  EXPECT_TRUE(fs::is_symlink(folder() / "link"));
  EXPECT_EQ(get(folder() / "later"), "new");
}

TEST_F(FileTest, RefusesALoopOfLinks) {
  fs::create_symlink("b", folder() / "a");
  fs::create_symlink("a", folder() / "b");
  EXPECT_TRUE(fails(write_file_atomically(folder() / "a", {"x"}), StatusCode::kIo,
                    {(folder() / "a").string(), "symbolic links"}));
  EXPECT_EQ(names(), (Names{"a", "b"}));
}

TEST_F(FileTest, RefusesADirectoryInTheWay) {
  put("d/inside", "x");
  for (const fs::path& path : {folder() / "d", folder() / "d/", folder() / "d/.", folder() / "d/.."}) {
    EXPECT_TRUE(fails(write_file_atomically(path, {"x"}), StatusCode::kIo, {path.string(), "Is a directory"}));
    EXPECT_TRUE(fails(check_writable(path), StatusCode::kIo, {path.string(), "Is a directory"}));
  }
  EXPECT_EQ(names(), Names{"d"});
  EXPECT_EQ(get(folder() / "d/inside"), "x");
}

TEST_F(FileTest, RefusesAFolderThatIsMissingOrAFile) {
  put("file", "x");
  for (const auto& [path, reason] :
       {std::pair(folder() / "no/a", "No such file or directory"), std::pair(folder() / "file/a", "Not a directory")}) {
    EXPECT_TRUE(fails(write_file_atomically(path, {"x"}), StatusCode::kIo, {path.string(), reason}));
    EXPECT_TRUE(fails(check_writable(path), StatusCode::kIo, {path.string(), reason}));
    EXPECT_TRUE(fails(read_file(path), StatusCode::kIo, {path.string(), reason}));
  }
  EXPECT_TRUE(fails(write_file_atomically("", {"x"}), StatusCode::kIo, {"No such file or directory"}));
}

TEST_F(FileTest, RefusesDevicesAndPipesInsteadOfReplacingThem) {
  ASSERT_EQ(::mkfifo((folder() / "pipe").c_str(), 0600), 0);
  for (const fs::path& path : {folder() / "pipe", fs::path("/dev/null"), fs::path("/dev/full")}) {
    EXPECT_TRUE(fails(write_file_atomically(path, {"x"}), StatusCode::kIo, {path.string(), "no regular file"}));
    EXPECT_TRUE(fails(check_writable(path), StatusCode::kIo, {path.string(), "no regular file"}));
    EXPECT_TRUE(fails(read_file(path), StatusCode::kIo, {path.string(), "no regular file"}));
  }
  EXPECT_TRUE(fs::is_fifo(folder() / "pipe"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(FileTest, RefusesAReadOnlyFileAndAReadOnlyFolder) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const fs::path path = put("d/a", "old");
  ASSERT_EQ(::chmod(path.c_str(), 0400), 0);
  EXPECT_TRUE(fails(write_file_atomically(path, {"x"}), StatusCode::kIo, {path.string(), "Permission denied"}));
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  ASSERT_EQ(::chmod(path.parent_path().c_str(), 0500), 0);
  EXPECT_TRUE(fails(write_file_atomically(path, {"x"}), StatusCode::kIo, {path.string(), "Permission denied"}));
  EXPECT_TRUE(fails(check_writable(path), StatusCode::kIo, {path.string(), "Permission denied"}));
  ASSERT_EQ(::chmod(path.parent_path().c_str(), 0700), 0);
  EXPECT_EQ(get(path), "old");
}

// Where the disk ends, seen by a process whose files may not grow beyond 4096 bytes.
TEST_F(FileTest, AFullDiskLeavesTheEarlierFileWholeAndNoTemporary) {
  const fs::path path = put("a", "the earlier file");
  const std::string big(100'000, 'x');
  const std::string report = test::in_child([&]() -> std::string {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return "no limit";
    const Status status = write_file_atomically(path, {"begin", big});
    return fmt::format("{}: {}", name(status.code()), status.message());
  });
  EXPECT_EQ(report, fmt::format("i/o error: {}: cannot write: File too large", path.string()));
  EXPECT_EQ(get(path), "the earlier file");
  EXPECT_EQ(names(), Names{"a"});
}

TEST_F(FileTest, CheckWritableLeavesNoTrace) {
  const fs::path path = put("a", "old");
  EXPECT_TRUE(check_writable(path).ok());
  EXPECT_TRUE(check_writable(folder() / "new").ok());
  EXPECT_EQ(names(), Names{"a"});
  EXPECT_EQ(get(path), "old");
}

TEST_F(FileTest, TheLongestNameThatTheFileSystemAllowsIsWritten) {
  const std::string longest(255, 'n');
  EXPECT_TRUE(write_file_atomically(folder() / longest, {"x"}).ok());
  EXPECT_EQ(names(), Names{longest});
  const fs::path too_long = folder() / std::string(256, 'n');
  EXPECT_TRUE(fails(write_file_atomically(too_long, {"x"}), StatusCode::kIo, {"File name too long"}));
}

TEST_F(FileTest, ARelativeNameIsWrittenToTheWorkingFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(folder());
  const Status status = write_file_atomically("a", {"x"});
  fs::current_path(before);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(get(folder() / "a"), "x");
}

TEST_F(FileTest, WritersAtOnceLeaveOneOfTheirFilesWhole) {
  const fs::path path = folder() / "a";
  std::vector<std::thread> writers;
  for (char c = 'a'; c < 'e'; ++c) {
    writers.emplace_back([&path, c] {
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(write_file_atomically(path, {std::string(10'000, c)}).ok());
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::string content = get(path);
  ASSERT_EQ(content.size(), 10'000);
  EXPECT_EQ(content, std::string(10'000, content[0]));
  EXPECT_EQ(names(), Names{"a"});
}

TEST_F(FileTest, AFileBeyondTheMemoryIsAnError) {
#ifdef HCCS_TEST_WITH_ASAN
  GTEST_SKIP() << "AddressSanitizer needs the address space that this test takes away";
#endif
  const fs::path path = put("sparse", "");
  fs::resize_file(path, uint64_t{1} << 32);
  const std::string report = test::in_child([&]() -> std::string {
    const rlimit limit{1 << 30, 1 << 30};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return "no limit";
    const auto content = read_file(path);
    return fmt::format("{}: {}", name(content.status().code()), content.status().message());
  });
  EXPECT_EQ(report,
            fmt::format("out of memory: {}: cannot read: 4294967296 bytes: Cannot allocate memory", path.string()));
}

TEST_F(FileTest, ReadingADirectoryOrAMissingFileFails) {
  EXPECT_TRUE(fails(read_file(folder()), StatusCode::kIo, {folder().string(), "Is a directory"}));
  EXPECT_TRUE(fails(read_file(folder() / "no"), StatusCode::kIo, {"no: cannot open: No such file or directory"}));
}

class NewFolderTest : public test::WithFolder {};

TEST_F(NewFolderTest, AppearsWholeOrNotAtAll) {
  {
    auto target = NewFolder::create(folder() / "out/");
    ASSERT_TRUE(target.ok()) << target.status().message();
    std::ofstream(target->path() / "a.txt") << "a";
    EXPECT_FALSE(fs::exists(folder() / "out"));
    ASSERT_TRUE(target->finish().ok());
  }
  EXPECT_EQ(get(folder() / "out" / "a.txt"), "a");
  EXPECT_EQ(names(), (std::vector<std::string>{"out"}));
  {
    auto target = NewFolder::create(folder() / "given up");
    ASSERT_TRUE(target.ok());
    std::ofstream(target->path() / "a.txt") << "a";
  }
  EXPECT_EQ(names(), (std::vector<std::string>{"out"}));
}

TEST_F(NewFolderTest, NothingIsReplaced) {
  fs::create_directory(folder() / "there");
  fs::create_symlink("nowhere", folder() / "dangling");
  for (const char* name : {"there", "dangling"}) {
    EXPECT_TRUE(
        test::fails(NewFolder::create(folder() / name), StatusCode::kInvalidArgument, {name, "exists already"}));
  }
  auto target = NewFolder::create(folder() / "late");
  ASSERT_TRUE(target.ok());
  fs::create_directory(folder() / "late");  // by somebody else in the meantime
  EXPECT_TRUE(test::fails(target->finish(), StatusCode::kInvalidArgument, {"late", "exists already"}));
  EXPECT_TRUE(test::fails(NewFolder::create(folder() / "absent" / "out"), StatusCode::kIo, {"out"}));
}

// ---- What is there --------------------------------------------------------------------------

TEST_F(FileTest, OnlyNoEntryIsAbsent) {
  put("file", "x");
  fs::create_directory(folder() / "sub");
  fs::create_symlink("file", folder() / "good");
  for (const char* present : {"file", "sub", "sub/", "good", "sub/../file"}) {
    const auto there = is_present(folder() / present);
    EXPECT_TRUE(there.ok() && *there) << present;
  }
  for (const char* absent : {"no", "no/where", "no/where/at/all", "sub/no"}) {
    const auto there = is_present(folder() / absent);
    EXPECT_TRUE(there.ok() && !*there) << absent;
  }
  fs::create_symlink("../gone", folder() / "bad");
  fs::create_symlink("bad", folder() / "worse");
  fs::create_symlink("round", folder() / "round");
  EXPECT_TRUE(fails(is_present(folder() / "bad"), StatusCode::kIo, {"bad: a link to ../gone", "nothing is there"}));
  EXPECT_TRUE(fails(is_present(folder() / "worse"), StatusCode::kIo, {"worse: a link to bad"}));
  EXPECT_TRUE(fails(is_present(folder() / "bad/file"), StatusCode::kIo, {"bad/file: ", "bad is a link to ../gone"}));
  EXPECT_TRUE(fails(is_present(folder() / "round"), StatusCode::kIo, {"a link to round", "Too many levels"}));
  EXPECT_TRUE(fails(is_present(folder() / "file/in/it"), StatusCode::kIo, {"file: ", "Not a directory"}));
  EXPECT_TRUE(fails(read_file(folder() / "bad"), StatusCode::kIo, {"a link to ../gone"}));
  EXPECT_TRUE(fails(read_file(folder() / "no"), StatusCode::kIo, {"No such file"}));
}

TEST_F(FileTest, GitLfsPointersAreNoContent) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '0') + "\nsize 12\n";
  EXPECT_TRUE(fails(read_file(put("p", pointer)), StatusCode::kBadData, {"Git LFS pointer", "(12 bytes)"}));
  EXPECT_TRUE(
      fails(read_file(put("p", pointer.substr(0, 60))), StatusCode::kBadData, {"Git LFS pointer", "(? bytes)"}));
  // Text about them, and longer files.
  EXPECT_TRUE(read_file(put("p", "# " + pointer)).ok());
  EXPECT_TRUE(read_file(put("p", pointer + std::string(1024, 'x'))).ok());
}

}  // namespace
}  // namespace hccs
