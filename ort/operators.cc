// SPDX-License-Identifier: Apache-2.0
//
// The library that ONNX Runtime loads (SessionOptions.register_custom_ops_library): the operators of the domain "hccs",
// named and called as hccs.onnx.function() defines them, run by SoftmaxPlan. Domain "hccs", version 1:
//
//   Softmax{Div,Clb,Scaled}{U8,I16}K{1..4} (x, mask, b, s_0, d_0, ..., s_(K-1), d_(K-1)) => (p)
//
// x: int8 [..., heads, queries, keys], keys 1..65536. mask: bool that broadcasts to x, true where a position is valid.
// b, s_k, d_k: int32 [heads, 1, 1], or one value for all heads. p: uint8 or int16 of x's shape. There are no
// attributes. Constant parameters are checked when the session is made, others at each call.
#include <fmt/core.h>
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "call.h"
#include "hccs/softmax.h"

namespace hccs::ort {
namespace {

// Since this version ONNX Runtime has all that is called here; later ones have it too.
constexpr uint32_t kApiVersion = 17;
constexpr size_t kHeadInputs = 2;  // x and mask come first
// Elements that are worth a thread's while.
constexpr int64_t kTask = 1 << 15;
constexpr const char* kNoMemory = "hccs: out of memory";

struct Operator : OrtCustomOp {
  std::string title;
  int knees = 0;
  Normalisation normalisation{};
  OutputType output{};
  size_t inputs() const { return kHeadInputs + 1 + 2 * static_cast<size_t>(knees); }
};

// A plan and the values of b, s_0, d_0, ... that it was made of.
struct Prepared {
  std::vector<int32_t> values;
  SoftmaxPlan plan;
};

class Kernel {
 public:
  Kernel(const OrtApi& api, const Operator& op) : api_(api), op_(op) {}

  Status create(const OrtKernelInfo* info);
  Status compute(OrtKernelContext* context);

  // What ONNX Runtime gets of create() or compute(): null, or the error with the node's name.
  template <class F>
  OrtStatusPtr guarded(const F& call) const {
    try {
      const Status status = call();
      if (status.ok()) return nullptr;
      const std::string text = fmt::format("hccs: {} \"{}\": {}", op_.title, name_, status.message());
      return api_.CreateStatus(ORT_INVALID_ARGUMENT, text.c_str());
    } catch (const std::bad_alloc&) {
      return api_.CreateStatus(ORT_FAIL, kNoMemory);
    }
  }

 private:
  // The runtime's own errors, as ours.
  Status check(OrtStatusPtr status) const {
    if (status == nullptr) return {};
    Status result(StatusCode::kInvalidArgument, api_.GetErrorMessage(status));
    api_.ReleaseStatus(status);
    return result;
  }
  Expected<Tensor> tensor(const OrtValue* value) const;
  Expected<Tensor> input(const OrtKernelContext* context, size_t index) const;
  Expected<std::shared_ptr<const Prepared>> prepare(std::span<const Tensor> inputs) const;
  Expected<std::shared_ptr<const Prepared>> prepared(const OrtKernelContext* context);
  template <class Out>
  Status run(const OrtKernelContext* context, const SoftmaxPlan& plan, const Tensor& x, const Masks& masks,
             void* out) const;

  const OrtApi& api_;
  const Operator& op_;
  std::string name_;
  bool constant_ = false;
  std::mutex mutex_;  // of what follows
  std::shared_ptr<const Prepared> prepared_;
};

Expected<Tensor> Kernel::tensor(const OrtValue* value) const {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  HCCS_RETURN_IF_ERROR(check(api_.GetTensorTypeAndShape(value, &info)));
  size_t axes = 0;
  Tensor tensor;
  Status status = check(api_.GetDimensionsCount(info, &axes));
  tensor.shape.resize(axes);
  if (status.ok()) status = check(api_.GetDimensions(info, tensor.shape.data(), axes));
  api_.ReleaseTensorTypeAndShapeInfo(info);
  HCCS_RETURN_IF_ERROR(status);
  void* data = nullptr;
  HCCS_RETURN_IF_ERROR(check(api_.GetTensorMutableData(const_cast<OrtValue*>(value), &data)));
  tensor.data = data;
  return tensor;
}

Expected<Tensor> Kernel::input(const OrtKernelContext* context, size_t index) const {
  const OrtValue* value = nullptr;
  HCCS_RETURN_IF_ERROR(check(api_.KernelContext_GetInput(context, index, &value)));
  return tensor(value);
}

std::vector<int32_t> values_of(std::span<const Tensor> inputs) {
  std::vector<int32_t> values;
  for (const Tensor& input : inputs) {
    const auto* data = static_cast<const int32_t*>(input.data);
    values.insert(values.end(), data, data + elements(input.shape));
    values.push_back(static_cast<int32_t>(input.shape.size()));
  }
  return values;
}

Expected<std::shared_ptr<const Prepared>> Kernel::prepare(std::span<const Tensor> inputs) const {
  HCCS_ASSIGN_OR_RETURN(const std::vector<HeadParams> heads, heads_of(inputs));
  HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan, SoftmaxPlan::hccs(heads, op_.normalisation, op_.output));
  return std::make_shared<const Prepared>(Prepared{values_of(inputs), std::move(plan)});
}

Status Kernel::create(const OrtKernelInfo* info) {
  size_t size = 0;
  HCCS_RETURN_IF_ERROR(check(api_.KernelInfo_GetNodeName(info, nullptr, &size)));
  name_.resize(size);
  HCCS_RETURN_IF_ERROR(check(api_.KernelInfo_GetNodeName(info, name_.data(), &size)));
  name_.resize(size > 0 ? size - 1 : 0);  // without the zero at its end
  std::vector<Tensor> inputs;
  for (size_t i = kHeadInputs; i < op_.inputs(); ++i) {
    const OrtValue* value = nullptr;
    int is_constant = 0;
    HCCS_RETURN_IF_ERROR(check(api_.KernelInfoGetConstantInput_tensor(info, i, &is_constant, &value)));
    if (is_constant == 0) return {};
    HCCS_ASSIGN_OR_RETURN(Tensor input, tensor(value));
    inputs.push_back(std::move(input));
  }
  HCCS_ASSIGN_OR_RETURN(prepared_, prepare(inputs));
  constant_ = true;
  return {};
}

Expected<std::shared_ptr<const Prepared>> Kernel::prepared(const OrtKernelContext* context) {
  if (constant_) return prepared_;
  std::vector<Tensor> inputs;
  for (size_t i = kHeadInputs; i < op_.inputs(); ++i) {
    HCCS_ASSIGN_OR_RETURN(Tensor input, this->input(context, i));
    inputs.push_back(std::move(input));
  }
  const std::vector<int32_t> values = values_of(inputs);
  const std::scoped_lock lock(mutex_);
  if (prepared_ == nullptr || prepared_->values != values) {
    HCCS_ASSIGN_OR_RETURN(prepared_, prepare(inputs));
  }
  return prepared_;
}

Status Kernel::compute(OrtKernelContext* context) {
  HCCS_ASSIGN_OR_RETURN(const Tensor x, input(context, 0));
  HCCS_ASSIGN_OR_RETURN(const Tensor mask, input(context, 1));
  HCCS_ASSIGN_OR_RETURN(const std::shared_ptr<const Prepared> prepared, this->prepared(context));
  const SoftmaxPlan& plan = prepared->plan;
  if (x.shape.size() < 3) {
    return {StatusCode::kInvalidArgument,
            fmt::format("x has shape {}, but [..., heads, queries, keys] is needed", text_of(x.shape))};
  }
  const int64_t heads = x.shape[x.shape.size() - 3];
  if (plan.heads() != 1 && plan.heads() != heads) {
    return {StatusCode::kInvalidArgument, fmt::format("x has shape {}, so {} heads, but b, s_k and d_k have {}",
                                                      text_of(x.shape), heads, plan.heads())};
  }
  const int64_t keys = x.shape.back();
  if (keys < 1 || keys > kMaxRowLength) {
    return {StatusCode::kInvalidArgument,
            fmt::format("x has shape {}: {} keys, but 1 <= keys <= {}", text_of(x.shape), keys, kMaxRowLength)};
  }
  HCCS_ASSIGN_OR_RETURN(const Masks masks, Masks::of(mask, x.shape));
  OrtValue* value = nullptr;
  HCCS_RETURN_IF_ERROR(check(api_.KernelContext_GetOutput(context, 0, x.shape.data(), x.shape.size(), &value)));
  if (elements(x.shape) == 0) return {};
  void* out = nullptr;
  HCCS_RETURN_IF_ERROR(check(api_.GetTensorMutableData(value, &out)));
  return op_.output == OutputType::kUint8 ? run<uint8_t>(context, plan, x, masks, out)
                                          : run<int16_t>(context, plan, x, masks, out);
}

template <class Out>
Status Kernel::run(const OrtKernelContext* context, const SoftmaxPlan& plan, const Tensor& x, const Masks& masks,
                   void* out) const {
  const size_t axes = x.shape.size();
  const int64_t heads = x.shape[axes - 3], queries = x.shape[axes - 2], keys = x.shape[axes - 1];
  // A task is some rows of one head.
  const int64_t rows = std::clamp<int64_t>(kTask / keys, 1, queries);
  const int64_t tasks_a_head = (queries + rows - 1) / rows;
  std::mutex mutex;
  Status failure;
  const auto task = [&](int64_t number) {
    const int64_t first = number % tasks_a_head * rows;
    const int64_t head = number / tasks_a_head % heads;
    const int64_t at = (number / tasks_a_head * queries + first) * keys;
    const SoftmaxShape shape{.heads = 1, .queries = std::min(rows, queries - first), .keys = keys};
    auto batch = SoftmaxBatch<Out>::dense(static_cast<const int8_t*>(x.data) + at, static_cast<Out*>(out) + at, shape);
    batch.first_head = plan.heads() == 1 ? 0 : head;
    masks.set(batch, number / tasks_a_head / heads, head, first);
    if (Status status = plan.run(batch); !status.ok()) {
      const std::scoped_lock lock(mutex);
      failure = std::move(status);
    }
  };
  const int64_t tasks = elements(x.shape) / (queries * keys) * tasks_a_head;
  if (elements(x.shape) <= kTask) {
    for (int64_t i = 0; i < tasks; ++i) task(i);
  } else {
    const auto call = [](void* data, size_t i) { (*static_cast<decltype(task)*>(data))(static_cast<int64_t>(i)); };
    HCCS_RETURN_IF_ERROR(check(api_.KernelContext_ParallelFor(context, call, static_cast<size_t>(tasks), 0,
                                                              const_cast<void*>(static_cast<const void*>(&task)))));
  }
  return failure;
}

// ---- What ONNX Runtime calls ----------------------------------------------------------------------------------------

const Operator& operator_of(const OrtCustomOp* op) { return *static_cast<const Operator*>(op); }

OrtStatusPtr create_kernel(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel) {
  std::unique_ptr<Kernel> made(new (std::nothrow) Kernel(*api, operator_of(op)));
  if (made == nullptr) return api->CreateStatus(ORT_FAIL, kNoMemory);
  if (OrtStatusPtr status = made->guarded([&] { return made->create(info); })) return status;
  *kernel = made.release();
  return nullptr;
}

OrtStatusPtr compute_kernel(void* kernel, OrtKernelContext* context) {
  auto& of = *static_cast<Kernel*>(kernel);
  return of.guarded([&] { return of.compute(context); });
}

Operator make_operator(int knees, Normalisation normalisation, OutputType output) {
  Operator op{};
  op.version = kApiVersion;
  op.knees = knees;
  op.normalisation = normalisation;
  op.output = output;
  std::string mode(name(normalisation));
  mode[0] = static_cast<char>(mode[0] - 'a' + 'A');
  op.title = fmt::format("Softmax{}{}K{}", mode, output == OutputType::kUint8 ? "U8" : "I16", knees);
  op.GetName = [](const OrtCustomOp* of) { return operator_of(of).title.c_str(); };
  op.GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };  // the CPU's
  op.GetInputTypeCount = [](const OrtCustomOp* of) { return operator_of(of).inputs(); };
  op.GetInputType = [](const OrtCustomOp*, size_t i) {
    return i == 0   ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8
           : i == 1 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL
                    : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
  };
  op.GetOutputTypeCount = [](const OrtCustomOp*) { return size_t{1}; };
  op.GetOutputType = [](const OrtCustomOp* of, size_t) {
    return operator_of(of).output == OutputType::kUint8 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8
                                                        : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16;
  };
  op.GetInputCharacteristic = [](const OrtCustomOp*, size_t) { return INPUT_OUTPUT_REQUIRED; };
  op.GetOutputCharacteristic = [](const OrtCustomOp*, size_t) { return INPUT_OUTPUT_REQUIRED; };
  op.GetInputMemoryType = [](const OrtCustomOp*, size_t) { return OrtMemTypeDefault; };
  op.CreateKernelV2 = create_kernel;
  op.KernelComputeV2 = compute_kernel;
  op.KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.GetStartVersion = [](const OrtCustomOp*) { return 1; };
  op.GetEndVersion = [](const OrtCustomOp*) { return 1; };
  return op;
}

std::vector<Operator> make_operators() {
  std::vector<Operator> operators;
  for (int knees = 1; knees <= kMaxKnees; ++knees) {
    for (const auto normalisation : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
      for (const auto output : {OutputType::kUint8, OutputType::kInt16}) {
        operators.push_back(make_operator(knees, normalisation, output));
      }
    }
  }
  return operators;
}

// The domain, made once: all sessions of a process share it.
OrtStatusPtr domain_of(const OrtApi& api, OrtCustomOpDomain** domain) {
  static std::mutex mutex;
  static const std::vector<Operator> operators = make_operators();
  static OrtCustomOpDomain* made = nullptr;
  const std::scoped_lock lock(mutex);
  if (made == nullptr) {
    OrtCustomOpDomain* making = nullptr;
    if (OrtStatusPtr status = api.CreateCustomOpDomain("hccs", &making)) return status;
    for (const Operator& op : operators) {
      if (OrtStatusPtr status = api.CustomOpDomain_Add(making, &op)) return status;
    }
    made = making;
  }
  *domain = made;
  return nullptr;
}

}  // namespace
}  // namespace hccs::ort

// What ONNX Runtime looks for in a library of operators.
extern "C" __attribute__((visibility("default"))) OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                                                            const OrtApiBase* base);

OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
  using namespace hccs::ort;  // NOLINT
  const OrtApi* api = base->GetApi(kApiVersion);
  if (api == nullptr) {
    return base->GetApi(1)->CreateStatus(ORT_FAIL, "hccs: ONNX Runtime is too old: 1.17 or later is needed");
  }
  try {
    OrtCustomOpDomain* domain = nullptr;
    if (OrtStatusPtr status = domain_of(*api, &domain)) return status;
    return api->AddCustomOpDomain(options, domain);
  } catch (const std::bad_alloc&) {
    return api->CreateStatus(ORT_FAIL, kNoMemory);
  }
}
